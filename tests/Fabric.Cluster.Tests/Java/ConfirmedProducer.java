import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.locks.LockSupport;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.JMSException;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.ResourceAllocationException;
import javax.jms.Session;
import org.apache.activemq.ActiveMQConnectionFactory;

/**
 * Sends texts PREFIX:0, PREFIX:1, … (and padding behind) at a rate to some queues in turn, each confirmed before the next, until standard input ends. Prints a
 * letter, the number and microseconds since 1970: A attempted, C confirmed, R refused, U outcome unknown (with the exception).
 */
public final class ConfirmedProducer {
    public static void main(String[] args) throws Exception {
        String url = args[0], prefix = args[1];
        int padding = Integer.parseInt(args[3]);
        long interval = 1_000_000_000L / Integer.parseInt(args[2]);
        Connection connection = new ActiveMQConnectionFactory("admin", "admin", url).createConnection();
        connection.start();
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        Queue[] queues = new Queue[args.length - 4];
        for (int i = 0; i < queues.length; i++) {
            queues[i] = session.createQueue(args[i + 4]);
        }

        MessageProducer producer = session.createProducer(null);
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
        String tail = padding == 0 ? "" : ":" + "x".repeat(padding);
        long next = System.nanoTime();
        for (int i = 0; input.isAlive(); i++) {
            System.out.println("A " + i + " " + micros());
            try {
                producer.send(queues[i % queues.length], session.createTextMessage(prefix + ":" + i + tail));
                System.out.println("C " + i + " " + micros());
            } catch (ResourceAllocationException e) {
                System.out.println("R " + i + " " + micros());
            } catch (JMSException e) {
                System.out.println("U " + i + " " + micros() + " " + e);
            }

            next = Math.max(next + interval, System.nanoTime() - interval);
            long wait = next - System.nanoTime();
            if (wait > 0) {
                LockSupport.parkNanos(wait);
            }
        }

        connection.close();
    }

    private static long micros() {
        return ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
    }
}
