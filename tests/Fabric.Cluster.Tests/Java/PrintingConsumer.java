import java.time.Instant;
import java.time.temporal.ChronoUnit;
import javax.jms.Connection;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.Session;
import javax.jms.TextMessage;
import org.apache.activemq.ActiveMQConnectionFactory;

/**
 * Receives texts until standard input has ended and none came for the given time. Prints for each: D, microseconds since 1970, the redelivered flag as R or -,
 * the deliveries before this one, and the text.
 */
public final class PrintingConsumer {
    public static void main(String[] args) throws Exception {
        Connection connection = new ActiveMQConnectionFactory("admin", "admin", args[0]).createConnection();
        connection.start();
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createConsumer(session.createQueue(args[1]));
        long idle = Long.parseLong(args[2]);
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException e) {
                System.err.println(e);
            }
        });
        input.setDaemon(true);
        input.start();
        while (true) {
            boolean last = !input.isAlive(); // asked before the wait: what is sent before the input ends is received
            Message message = consumer.receive(last ? idle : 1000);
            if (message != null) {
                long micros = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
                System.out.println("D " + micros + (message.getJMSRedelivered() ? " R " : " - ")
                    + (message.getIntProperty("JMSXDeliveryCount") - 1) + " " + ((TextMessage) message).getText());
            } else if (last) {
                break;
            }
        }

        connection.close();
    }
}
