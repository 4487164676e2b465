import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.jms.BytesMessage;
import javax.jms.Connection;
import javax.jms.DeliveryMode;
import javax.jms.InvalidClientIDException;
import javax.jms.InvalidDestinationException;
import javax.jms.JMSException;
import javax.jms.JMSSecurityException;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.StreamMessage;
import javax.jms.TemporaryQueue;
import javax.jms.TextMessage;
import javax.jms.Topic;
import org.apache.activemq.ActiveMQConnection;
import org.apache.activemq.ActiveMQConnectionFactory;
import org.apache.activemq.ActiveMQSession;
import org.apache.activemq.DestinationDoesNotExistException;
import org.apache.activemq.RedeliveryPolicy;

/**
 * What JMS programs rely on, one check a method, each with destinations of its own. Prints a line per check: "ok NAME" or "FAIL NAME reason".
 * The same program runs against Apache ActiveMQ, which shows that the checks are right, and against Fabric.
 */
public final class JmsChecks {
    private static final long SOON = 5000;
    private static final long NEVER = 500;
    private static String url;
    private static String user;
    private static String password;

    private interface Check {
        void run() throws Exception;
    }

    public static void main(String[] args) {
        url = args[0];
        user = args[1];
        password = args[2];
        check("bodies_and_properties_arrive_as_sent", JmsChecks::bodies);
        check("a_queue_keeps_order", JmsChecks::order);
        check("each_message_goes_to_one_of_competing_consumers", JmsChecks::competing);
        check("prefetch_limits_what_a_consumer_holds", JmsChecks::prefetch);
        check("client_acknowledge_consumes_all_before", JmsChecks::clientAcknowledge);
        check("individual_acknowledge_consumes_one", JmsChecks::individualAcknowledge);
        check("what_was_not_acknowledged_comes_again_flagged", JmsChecks::redelivered);
        check("what_was_not_delivered_comes_again_without_a_flag", JmsChecks::notDelivered);
        check("recover_delivers_again", JmsChecks::recover);
        check("sends_show_at_commit_only", JmsChecks::transactedSend);
        check("a_rollback_forgets_sends", JmsChecks::rolledBackSend);
        check("a_rollback_of_receives_delivers_again", JmsChecks::transactedReceive);
        check("too_many_redeliveries_end_in_the_dead_letter_queue", JmsChecks::deadLetter);
        check("expired_messages_are_not_delivered", JmsChecks::expired);
        check("every_subscriber_of_a_topic_gets_a_message", JmsChecks::topic);
        check("a_topic_keeps_nothing_for_later_subscribers", JmsChecks::lateSubscriber);
        check("nolocal_leaves_out_own_messages", JmsChecks::noLocal);
        check("a_request_is_answered_over_a_temporary_queue", JmsChecks::requestReply);
        check("a_deleted_temporary_queue_takes_nothing", JmsChecks::deletedTemporary);
        check("temporary_queues_end_with_their_connection", JmsChecks::temporaryEnds);
        check("a_pull_consumer_gets_a_message_or_nothing", JmsChecks::pull);
        check("a_client_id_is_used_once", JmsChecks::clientId);
        check("a_wrong_password_is_refused", JmsChecks::wrongPassword);
        check("a_listener_gets_everything", JmsChecks::listener);
        check("a_composite_send_reaches_all", JmsChecks::composite);
        check("a_wildcard_consumer_gets_all_that_match", JmsChecks::wildcard);
        check("non_persistent_messages_are_delivered", JmsChecks::nonPersistent);
        check("an_exclusive_consumer_gets_everything", JmsChecks::exclusive);
        check("a_large_message_arrives_whole", JmsChecks::large);
        check("asynchronous_sends_are_all_there", JmsChecks::asynchronous);
        check("a_closed_session_gives_its_messages_back", JmsChecks::closedSession);
        System.exit(0);
    }

    private static void check(String name, Check check) {
        try {
            check.run();
            System.out.println("ok " + name);
        } catch (Throwable problem) {
            StackTraceElement at = problem.getStackTrace().length > 0 ? problem.getStackTrace()[0] : null;
            for (StackTraceElement element : problem.getStackTrace()) {
                if (element.getClassName().startsWith("JmsChecks") && !element.getMethodName().equals("fail") && !element.getMethodName().startsWith("expect")) {
                    at = element;
                    break;
                }
            }
            System.out.println("FAIL " + name + " " + problem + " at " + at);
        }
        System.out.flush();
    }

    private static Connection connect(String options) throws JMSException {
        Connection connection = new ActiveMQConnectionFactory(user, password, url + options).createConnection();
        connection.start();
        return connection;
    }

    private static Connection connect() throws JMSException {
        return connect("");
    }

    private static void fail(String reason) {
        throw new IllegalStateException(reason);
    }

    private static void expect(Object expected, Object actual) {
        if (expected == null ? actual != null : !expected.equals(actual)) {
            fail("expected " + expected + " but was " + actual);
        }
    }

    private static void send(Session session, javax.jms.Destination to, String... texts) throws JMSException {
        MessageProducer producer = session.createProducer(to);
        for (String text : texts) {
            producer.send(session.createTextMessage(text));
        }
        producer.close();
    }

    private static String text(Message message) throws JMSException {
        return message == null ? null : ((TextMessage) message).getText();
    }

    private static void bodies() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.bodies");
            MessageProducer producer = session.createProducer(queue);
            TextMessage text = session.createTextMessage("\u00e4\u4e2d\u6587\ud83d\ude00");
            text.setStringProperty("name", "v");
            text.setLongProperty("long", Long.MIN_VALUE);
            text.setBooleanProperty("yes", true);
            text.setDoubleProperty("pi", 3.25);
            text.setJMSCorrelationID("corr");
            text.setJMSType("type");
            text.setJMSReplyTo(session.createTopic("check.reply"));
            producer.setPriority(7);
            producer.send(text);
            BytesMessage bytes = session.createBytesMessage();
            bytes.writeBytes(new byte[] {0, -1, 127});
            producer.send(bytes);
            MapMessage map = session.createMapMessage();
            map.setInt("i", 42);
            map.setString("s", "x");
            producer.send(map);
            StreamMessage stream = session.createStreamMessage();
            stream.writeChar('c');
            stream.writeShort((short) -5);
            producer.send(stream);
            producer.send(session.createObjectMessage(new ArrayList<>(List.of("a", "b"))));
            producer.send(session.createMessage());
            MessageConsumer consumer = session.createConsumer(queue);
            TextMessage got = (TextMessage) consumer.receive(SOON);
            expect(text.getText(), got.getText());
            expect("v", got.getStringProperty("name"));
            expect(Long.MIN_VALUE, got.getLongProperty("long"));
            expect(true, got.getBooleanProperty("yes"));
            expect(3.25, got.getDoubleProperty("pi"));
            expect("corr", got.getJMSCorrelationID());
            expect("type", got.getJMSType());
            expect("topic://check.reply", got.getJMSReplyTo().toString());
            expect(7, got.getJMSPriority());
            expect(text.getJMSMessageID(), got.getJMSMessageID());
            expect("queue://check.bodies", got.getJMSDestination().toString());
            expect(DeliveryMode.PERSISTENT, got.getJMSDeliveryMode());
            expect(false, got.getJMSRedelivered());
            expect(1, got.getIntProperty("JMSXDeliveryCount"));
            BytesMessage gotBytes = (BytesMessage) consumer.receive(SOON);
            expect(3L, gotBytes.getBodyLength());
            MapMessage gotMap = (MapMessage) consumer.receive(SOON);
            expect(42, gotMap.getInt("i"));
            StreamMessage gotStream = (StreamMessage) consumer.receive(SOON);
            expect('c', gotStream.readChar());
            expect((short) -5, gotStream.readShort());
            if (!(consumer.receive(SOON) instanceof javax.jms.ObjectMessage)) {
                fail("no object message");
            }
            if (consumer.receive(SOON) == null) {
                fail("no plain message");
            }
            expect(null, consumer.receiveNoWait());
        }
    }

    private static void order() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.order");
            MessageProducer producer = session.createProducer(queue);
            for (int i = 0; i < 500; i++) {
                producer.send(session.createTextMessage("" + i));
            }
            MessageConsumer consumer = session.createConsumer(queue);
            for (int i = 0; i < 500; i++) {
                expect("" + i, text(consumer.receive(SOON)));
            }
            expect(null, consumer.receive(100));
        }
    }

    private static void competing() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session one = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Session two = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer first = one.createConsumer(one.createQueue("check.competing"));
            MessageConsumer second = two.createConsumer(two.createQueue("check.competing"));
            String[] texts = new String[100];
            for (int i = 0; i < texts.length; i++) {
                texts[i] = "" + i;
            }
            send(one, one.createQueue("check.competing"), texts);
            Set<String> seen = new HashSet<>();
            int firstCount = 0;
            for (Message message; (message = first.receive(NEVER)) != null; firstCount++) {
                seen.add(text(message));
            }
            int secondCount = 0;
            for (Message message; (message = second.receive(NEVER)) != null; secondCount++) {
                seen.add(text(message));
            }
            expect(100, seen.size());
            expect(100, firstCount + secondCount);
            if (firstCount == 0 || secondCount == 0) {
                fail("not shared: " + firstCount + " and " + secondCount);
            }
        }
    }

    private static void prefetch() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session one = open.connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            MessageConsumer small = one.createConsumer(one.createQueue("check.prefetch?consumer.prefetchSize=2"));
            Session two = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            send(two, two.createQueue("check.prefetch"), "1", "2", "3", "4", "5");
            Thread.sleep(200);
            MessageConsumer other = two.createConsumer(two.createQueue("check.prefetch"));
            expect("3", text(other.receive(SOON)));
            expect("4", text(other.receive(SOON)));
            expect("5", text(other.receive(SOON)));
            expect("1", text(small.receive(SOON)));
        }
    }

    private static void clientAcknowledge() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.client");
            send(session, queue, "1", "2", "3");
            MessageConsumer consumer = session.createConsumer(queue);
            consumer.receive(SOON);
            consumer.receive(SOON).acknowledge();
            consumer.receive(SOON);
            session.close();
            Session next = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer again = next.createConsumer(queue);
            expect("3", text(again.receive(SOON)));
            expect(null, again.receive(100));
        }
    }

    private static void individualAcknowledge() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, ActiveMQSession.INDIVIDUAL_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.individual");
            send(session, queue, "1", "2", "3");
            MessageConsumer consumer = session.createConsumer(queue);
            consumer.receive(SOON);
            consumer.receive(SOON).acknowledge();
            consumer.receive(SOON);
            session.close();
            Session next = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer again = next.createConsumer(queue);
            expect("1", text(again.receive(SOON)));
            expect("3", text(again.receive(SOON)));
            expect(null, again.receive(100));
        }
    }

    private static void redelivered() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.redelivered");
            send(session, queue, "1", "2");
            MessageConsumer consumer = session.createConsumer(queue);
            expect(false, consumer.receive(SOON).getJMSRedelivered());
            session.close();
            Session next = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer again = next.createConsumer(queue);
            Message first = again.receive(SOON);
            expect("1", text(first));
            expect(true, first.getJMSRedelivered());
            expect(2, first.getIntProperty("JMSXDeliveryCount"));
            expect("2", text(again.receive(SOON)));
        }
    }

    private static void notDelivered() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.prefetched");
            send(session, queue, "1", "2");
            MessageConsumer consumer = session.createConsumer(queue);
            Thread.sleep(200); // both are in its buffer by now
            consumer.close();
            Session next = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer again = next.createConsumer(queue);
            Message first = again.receive(SOON);
            expect("1", text(first));
            expect(false, first.getJMSRedelivered());
        }
    }

    private static void recover() throws Exception {
        try (Closer open = new Closer(connect("?jms.redeliveryPolicy.initialRedeliveryDelay=0"))) {
            Session session = open.connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.recover");
            send(session, queue, "1", "2");
            MessageConsumer consumer = session.createConsumer(queue);
            consumer.receive(SOON);
            session.recover();
            Message again = consumer.receive(SOON);
            expect("1", text(again));
            expect(true, again.getJMSRedelivered());
            consumer.receive(SOON).acknowledge();
            expect(null, consumer.receive(100));
        }
    }

    private static void transactedSend() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session sender = open.connection.createSession(true, Session.SESSION_TRANSACTED);
            Session receiver = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = receiver.createQueue("check.commit");
            MessageConsumer consumer = receiver.createConsumer(queue);
            send(sender, queue, "1", "2");
            expect(null, consumer.receive(NEVER));
            sender.commit();
            expect("1", text(consumer.receive(SOON)));
            expect("2", text(consumer.receive(SOON)));
        }
    }

    private static void rolledBackSend() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session sender = open.connection.createSession(true, Session.SESSION_TRANSACTED);
            Queue queue = sender.createQueue("check.rollback");
            send(sender, queue, "1");
            sender.rollback();
            send(sender, queue, "2");
            sender.commit();
            Session receiver = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer consumer = receiver.createConsumer(queue);
            expect("2", text(consumer.receive(SOON)));
            expect(null, consumer.receive(100));
        }
    }

    private static void transactedReceive() throws Exception {
        try (Closer open = new Closer(connect("?jms.redeliveryPolicy.initialRedeliveryDelay=0"))) {
            Session session = open.connection.createSession(true, Session.SESSION_TRANSACTED);
            Queue queue = session.createQueue("check.receive");
            send(session, queue, "1", "2");
            session.commit();
            MessageConsumer consumer = session.createConsumer(queue);
            expect("1", text(consumer.receive(SOON)));
            expect("2", text(consumer.receive(SOON)));
            session.rollback();
            Message again = consumer.receive(SOON);
            expect("1", text(again));
            expect(true, again.getJMSRedelivered());
            expect("2", text(consumer.receive(SOON)));
            session.commit();
            session.close();
            Session next = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            expect(null, next.createConsumer(queue).receive(NEVER));
        }
    }

    private static void deadLetter() throws Exception {
        try (Closer open = new Closer(connect())) {
            RedeliveryPolicy policy = ((ActiveMQConnection) open.connection).getRedeliveryPolicy();
            policy.setMaximumRedeliveries(1);
            policy.setInitialRedeliveryDelay(0);
            policy.setRedeliveryDelay(0);
            Session session = open.connection.createSession(true, Session.SESSION_TRANSACTED);
            Queue queue = session.createQueue("check.dead");
            send(session, queue, "poison");
            session.commit();
            MessageConsumer consumer = session.createConsumer(queue);
            for (int i = 0; i < 2; i++) {
                expect("poison", text(consumer.receive(SOON)));
                session.rollback();
            }
            expect(null, consumer.receive(NEVER));
            session.close();
            Session reader = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer dead = reader.createConsumer(reader.createQueue("ActiveMQ.DLQ"));
            Message message;
            do {
                message = dead.receive(SOON);
            } while (message != null && !"poison".equals(text(message)));
            if (message == null) {
                fail("not in the dead letter queue");
            }
            if (message.getStringProperty("dlqDeliveryFailureCause") == null) {
                fail("no cause");
            }
            expect("queue://check.dead", ((org.apache.activemq.command.ActiveMQMessage) message).getOriginalDestination().toString());
        }
    }

    private static void expired() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.expired");
            MessageProducer producer = session.createProducer(queue);
            producer.setTimeToLive(100);
            producer.send(session.createTextMessage("old"));
            producer.setTimeToLive(0);
            producer.send(session.createTextMessage("fresh"));
            Thread.sleep(300);
            MessageConsumer consumer = session.createConsumer(queue);
            expect("fresh", text(consumer.receive(SOON)));
            expect(null, consumer.receive(100));
        }
    }

    private static void topic() throws Exception {
        try (Closer open = new Closer(connect()); Closer other = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Topic topic = session.createTopic("check.topic");
            MessageConsumer first = session.createConsumer(topic);
            MessageConsumer second = other.connection.createSession(false, Session.AUTO_ACKNOWLEDGE).createConsumer(topic);
            send(session, topic, "1", "2");
            expect("1", text(first.receive(SOON)));
            expect("2", text(first.receive(SOON)));
            expect("1", text(second.receive(SOON)));
            expect("2", text(second.receive(SOON)));
        }
    }

    private static void lateSubscriber() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Topic topic = session.createTopic("check.late");
            send(session, topic, "1");
            MessageConsumer consumer = session.createConsumer(topic);
            send(session, topic, "2");
            expect("2", text(consumer.receive(SOON)));
        }
    }

    private static void noLocal() throws Exception {
        try (Closer open = new Closer(connect()); Closer other = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Topic topic = session.createTopic("check.nolocal");
            MessageConsumer consumer = session.createConsumer(topic, null, true);
            send(session, topic, "own");
            send(other.connection.createSession(false, Session.AUTO_ACKNOWLEDGE), topic, "other");
            expect("other", text(consumer.receive(SOON)));
        }
    }

    private static void requestReply() throws Exception {
        try (Closer client = new Closer(connect()); Closer server = new Closer(connect())) {
            Session serving = server.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageProducer replier = serving.createProducer(null);
            serving.createConsumer(serving.createQueue("check.request")).setMessageListener(request -> {
                try {
                    TextMessage reply = serving.createTextMessage("re:" + text(request));
                    reply.setJMSCorrelationID(request.getJMSMessageID());
                    replier.send(request.getJMSReplyTo(), reply);
                } catch (JMSException e) {
                    System.out.println("FAIL replier " + e);
                }
            });
            Session session = client.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageProducer producer = session.createProducer(session.createQueue("check.request"));
            for (int i = 0; i < 20; i++) {
                TemporaryQueue replies = session.createTemporaryQueue();
                MessageConsumer consumer = session.createConsumer(replies);
                TextMessage request = session.createTextMessage("q" + i);
                request.setJMSReplyTo(replies);
                producer.send(request);
                Message reply = consumer.receive(SOON);
                expect("re:q" + i, text(reply));
                expect(request.getJMSMessageID(), reply.getJMSCorrelationID());
                consumer.close();
                replies.delete();
            }
        }
    }

    private static void deletedTemporary() throws Exception {
        try (Closer open = new Closer(connect()); Closer other = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            TemporaryQueue queue = session.createTemporaryQueue();
            Session sender = other.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageProducer producer = sender.createProducer(queue);
            sendOnceKnown(producer, sender.createTextMessage("1"));
            queue.delete();
            for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(5); System.nanoTime() < end; ) {
                try {
                    producer.send(sender.createTextMessage("2"));
                    Thread.sleep(20);
                } catch (InvalidDestinationException | DestinationDoesNotExistException expected) {
                    return; // the first when the advisory came before the send, the second when the broker had to say it
                }
            }
            fail("sends to a deleted temporary queue go on");
        }
    }

    /** A client takes another one's temporary queue for deleted until the advisory that it was made has come. */
    private static void sendOnceKnown(MessageProducer producer, Message message) throws Exception {
        for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(5); ; Thread.sleep(20)) {
            try {
                producer.send(message);
                return;
            } catch (InvalidDestinationException unknown) {
                if (System.nanoTime() > end) {
                    throw unknown;
                }
            }
        }
    }

    private static void temporaryEnds() throws Exception {
        try (Closer other = new Closer(connect("?jms.watchTopicAdvisories=false"))) {
            TemporaryQueue queue;
            try (Closer open = new Closer(connect())) {
                queue = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE).createTemporaryQueue();
            }
            Session sender = other.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            try {
                sender.createProducer(queue).send(sender.createTextMessage("1"));
            } catch (JMSException expected) {
                return;
            }
            fail("the temporary queue has outlived its connection");
        }
    }

    private static void pull() throws Exception {
        try (Closer open = new Closer(connect("?jms.prefetchPolicy.all=0"))) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.pull");
            MessageConsumer consumer = session.createConsumer(queue);
            expect(null, consumer.receiveNoWait());
            expect(null, consumer.receive(200));
            send(session, queue, "1", "2");
            expect("1", text(consumer.receive(SOON)));
            expect("2", text(consumer.receiveNoWait()));
            expect(null, consumer.receiveNoWait());
        }
    }

    private static void clientId() throws Exception {
        try (Closer open = new Closer(new ActiveMQConnectionFactory(user, password, url).createConnection());
             Closer other = new Closer(new ActiveMQConnectionFactory(user, password, url).createConnection())) {
            open.connection.setClientID("the one");
            open.connection.start();
            try {
                other.connection.setClientID("the one");
                other.connection.start();
            } catch (InvalidClientIDException expected) {
                return;
            }
            fail("a client id was used twice");
        }
    }

    private static void wrongPassword() throws Exception {
        Connection connection = new ActiveMQConnectionFactory(user, "wrong", url).createConnection();
        try {
            connection.start();
        } catch (JMSSecurityException expected) {
            return;
        } finally {
            connection.close();
        }
        fail("a wrong password was accepted");
    }

    private static void listener() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.listener");
            CountDownLatch missing = new CountDownLatch(3000);
            session.createConsumer(queue).setMessageListener(message -> missing.countDown());
            Session sender = open.connection.createSession(true, Session.SESSION_TRANSACTED);
            MessageProducer producer = sender.createProducer(queue);
            for (int i = 0; i < 3000; i++) {
                producer.send(sender.createTextMessage("" + i));
            }
            sender.commit();
            if (!missing.await(20, TimeUnit.SECONDS)) {
                fail(missing.getCount() + " did not come");
            }
        }
    }

    private static void composite() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer topic = session.createConsumer(session.createTopic("check.c.topic"));
            send(session, session.createQueue("check.c.one,check.c.two,topic://check.c.topic"), "1");
            Message one = session.createConsumer(session.createQueue("check.c.one")).receive(SOON);
            expect("1", text(one));
            expect("queue://check.c.one", one.getJMSDestination().toString());
            expect("1", text(session.createConsumer(session.createQueue("check.c.two")).receive(SOON)));
            expect("1", text(topic.receive(SOON)));
        }
    }

    private static void wildcard() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            send(session, session.createQueue("check.w.a"), "1");
            MessageConsumer consumer = session.createConsumer(session.createQueue("check.w.*"));
            Message first = consumer.receive(SOON);
            expect("1", text(first));
            expect("queue://check.w.a", first.getJMSDestination().toString());
            send(session, session.createQueue("check.w.later"), "2");
            send(session, session.createQueue("check.w.too.deep"), "3");
            expect("2", text(consumer.receive(SOON)));
            expect(null, consumer.receive(NEVER));
        }
    }

    private static void nonPersistent() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.nonpersistent");
            MessageProducer producer = session.createProducer(queue);
            producer.setDeliveryMode(DeliveryMode.NON_PERSISTENT);
            for (int i = 0; i < 100; i++) {
                producer.send(session.createTextMessage("" + i));
            }
            MessageConsumer consumer = session.createConsumer(queue);
            for (int i = 0; i < 100; i++) {
                Message message = consumer.receive(SOON);
                expect("" + i, text(message));
                expect(DeliveryMode.NON_PERSISTENT, message.getJMSDeliveryMode());
            }
        }
    }

    private static void exclusive() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer plain = session.createConsumer(session.createQueue("check.exclusive"));
            MessageConsumer exclusive = session.createConsumer(session.createQueue("check.exclusive?consumer.exclusive=true"));
            send(session, session.createQueue("check.exclusive"), "1", "2", "3");
            expect("1", text(exclusive.receive(SOON)));
            expect("2", text(exclusive.receive(SOON)));
            expect("3", text(exclusive.receive(SOON)));
            expect(null, plain.receive(100));
        }
    }

    private static void large() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.large");
            byte[] body = new byte[5_000_000];
            new java.util.Random(1).nextBytes(body);
            BytesMessage message = session.createBytesMessage();
            message.writeBytes(body);
            session.createProducer(queue).send(message);
            BytesMessage got = (BytesMessage) session.createConsumer(queue).receive(20_000);
            byte[] received = new byte[(int) got.getBodyLength()];
            got.readBytes(received);
            expect(true, java.util.Arrays.equals(body, received));
        }
    }

    private static void asynchronous() throws Exception {
        try (Closer open = new Closer(connect("?jms.useAsyncSend=true&jms.producerWindowSize=20000"))) {
            Session session = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue("check.async");
            MessageProducer producer = session.createProducer(queue);
            for (int i = 0; i < 2000; i++) {
                producer.send(session.createTextMessage("" + i));
            }
            MessageConsumer consumer = session.createConsumer(queue);
            for (int i = 0; i < 2000; i++) {
                expect("" + i, text(consumer.receive(SOON)));
            }
        }
    }

    private static void closedSession() throws Exception {
        try (Closer open = new Closer(connect())) {
            Session session = open.connection.createSession(true, Session.SESSION_TRANSACTED);
            Queue queue = session.createQueue("check.closed");
            send(session, queue, "1", "2", "3");
            session.commit();
            MessageConsumer consumer = session.createConsumer(queue);
            consumer.receive(SOON);
            consumer.receive(SOON);
            session.close();
            Session next = open.connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            MessageConsumer again = next.createConsumer(queue);
            expect("1", text(again.receive(SOON)));
            expect("2", text(again.receive(SOON)));
            expect("3", text(again.receive(SOON)));
        }
    }

    private static final class Closer implements AutoCloseable {
        final Connection connection;

        Closer(Connection connection) {
            this.connection = connection;
        }

        @Override
        public void close() throws JMSException {
            connection.close();
        }
    }
}
