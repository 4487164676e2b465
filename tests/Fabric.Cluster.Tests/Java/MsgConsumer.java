import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.jms.Connection;
import javax.jms.JMSException;
import javax.jms.MessageConsumer;
import javax.jms.Session;
import javax.jms.TextMessage;
import org.apache.activemq.ActiveMQConnectionFactory;

/** The other half of the tutorial: a listener that prints what arrives; ends after 100 messages. */
public final class MsgConsumer {
    public static void main(String[] args) throws Exception {
        Connection connection = new ActiveMQConnectionFactory(args[0]).createConnection();
        connection.start();
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createConsumer(session.createQueue("myQueue"));
        CountDownLatch missing = new CountDownLatch(100);
        consumer.setMessageListener(message -> {
            try {
                System.out.println("received:" + ((TextMessage) message).getText());
            } catch (JMSException e) {
                throw new IllegalStateException(e);
            }
            missing.countDown();
        });
        boolean all = missing.await(30, TimeUnit.SECONDS);
        connection.close();
        System.exit(all ? 0 : 1);
    }
}
