import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.MessageProducer;
import javax.jms.Session;
import org.apache.activemq.ActiveMQConnectionFactory;

/** Sends texts PREFIX:0, PREFIX:1, … at a rate, each confirmed before the next, until standard input ends; prints each confirmed number with its time. */
public final class ConfirmedProducer {
    public static void main(String[] args) throws Exception {
        String url = args[0], queue = args[1], prefix = args[2];
        long interval = 1_000_000_000L / Integer.parseInt(args[3]);
        Connection connection = new ActiveMQConnectionFactory("admin", "admin", url).createConnection();
        connection.start();
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageProducer producer = session.createProducer(session.createQueue(queue));
        producer.setDeliveryMode(DeliveryMode.PERSISTENT);
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException e) {
                System.err.println(e);
            }
        });
        input.setDaemon(true);
        input.start();
        StringBuilder out = new StringBuilder();
        long next = System.nanoTime();
        for (int i = 0; input.isAlive(); i++) {
            producer.send(session.createTextMessage(prefix + ":" + i));
            System.out.println(i + " " + System.currentTimeMillis());
            next = Math.max(next + interval, System.nanoTime() - interval);
            long wait = next - System.nanoTime();
            if (wait > 0) {
                java.util.concurrent.locks.LockSupport.parkNanos(wait);
            }
        }
        connection.close();
        System.out.println("end");
    }
}
