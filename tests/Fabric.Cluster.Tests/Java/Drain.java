import javax.jms.Connection;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.Session;
import javax.jms.TextMessage;
import org.apache.activemq.ActiveMQConnectionFactory;

/** Receives texts until none came for the given time, and prints each: the redelivered flag and the text. */
public final class Drain {
    public static void main(String[] args) throws Exception {
        Connection connection = new ActiveMQConnectionFactory("admin", "admin", args[0]).createConnection();
        connection.start();
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createConsumer(session.createQueue(args[1]));
        long idle = Long.parseLong(args[2]);
        for (Message message; (message = consumer.receive(idle)) != null; ) {
            System.out.println((message.getJMSRedelivered() ? "R " : "- ") + ((TextMessage) message).getText());
        }
        connection.close();
        System.out.println("end");
    }
}
