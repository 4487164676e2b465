using Fabric.Oracles;

namespace Fabric.Tests.Oracles;

/// <summary>Each oracle accepts what is right and catches what is wrong.</summary>
[TestFixture]
internal sealed class HistoryCheckerTests
{
    [Test]
    public void What_was_consumed_or_is_still_there_is_not_lost() => new Story().SentAll(5).Consumed(0, 1, 2).StillThere(3, 4).IsRight();

    [TestCase(new long[] { 2, 3, 4 }, "prefix: 0, 1")]
    [TestCase(new long[] { 0, 4 }, "middle: 1, 2, 3")]
    [TestCase(new long[] { 0, 1 }, "postfix: 2, 3, 4")]
    [TestCase(new long[0], "(all): 0, 1, 2, 3, 4")]
    public void Lost_messages_are_told_with_their_place(long[] consumed, string part)
    {
        var violation = new Story().SentAll(5).Consumed(consumed).Violates(Oracle.Loss).Single();
        Assert.That(violation.What, Does.StartWith($"p lost {5 - consumed.Length} of 5 confirmed messages, ").And.EndsWith(part));
        Assert.That(violation.ToString(), Does.Contain("SendConfirmed p:").And.StartWith("O1 "));
    }

    [Test]
    public void Losses_at_both_ends_and_between_are_told_apart() =>
        new Story().SentAll(5).Consumed(1, 3).Violates(Oracle.Loss, Oracle.Loss, Oracle.Loss);

    [Test]
    public void A_message_that_is_gone_after_a_delivery_that_nobody_acknowledged_is_lost()
    {
        var violation = new Story().SentAll(2).Consumed(0).Seen(1).Violates(Oracle.Loss).Single();
        Assert.That(violation.What, Does.Contain("after a delivery that nobody acknowledged"));
    }

    [Test]
    public void An_acknowledgement_of_unknown_outcome_may_have_taken_place_or_not()
    {
        new Story().SentAll(1).Seen(0).Acks(0).IsRight();
        new Story().SentAll(1).Seen(0).Acks(0).Seen(0, redelivered: true).Acked(0).IsRight();
        new Story().SentAll(1).Seen(0).Acks(0).StillThere(0).IsRight();
    }

    [Test]
    public void A_send_of_unknown_outcome_may_be_there_or_not()
    {
        new Story().Sends(0).Unknown(0).Sends(1).IsRight();
        new Story().Sends(0).Unknown(0).Sends(1).Consumed(0).StillThere(1).IsRight();
    }

    [Test]
    public void What_nobody_sent_is_a_phantom() => new Story().SentAll(1).Consumed(0, 7).Violates(Oracle.Phantom);

    [Test]
    public void Another_body_is_a_phantom() => new Story().SentAll(1).Seen(0, hash: 4711).Acked(0).Violates(Oracle.Phantom);

    [Test]
    public void Another_queue_is_a_phantom_unless_it_is_said_to_take_others()
    {
        var story = new Story().SentAll(1).Seen(0, queue: "dead").Acked(0);
        story.Violates(Oracle.Phantom);
        story.IsRight(new HistoryCheckerOptions { OtherQueues = new HashSet<string> { "dead" } });
    }

    [Test]
    public void A_dead_letter_need_not_say_that_it_is_a_repeat_the_first_time()
    {
        var options = new HistoryCheckerOptions { OtherQueues = new HashSet<string> { "dead" } };
        new Story().SentAll(1).Seen(0).Seen(0, queue: "dead").Acked(0).IsRight(options);
        var stories = new[] { new Story().SentAll(1).Seen(0).Seen(0, queue: "dead").Seen(0, queue: "dead").Acked(0), new Story().SentAll(1).Seen(0, queue: "dead").Seen(0).Acked(0) };
        foreach (var story in stories)
        {
            Assert.That(HistoryChecker.Check(story.History, options).Single().Oracle, Is.EqualTo(Oracle.Duplicate));
        }
    }

    [Test]
    public void A_repeat_says_that_it_is_one()
    {
        new Story().SentAll(2).Seen(0).Seen(0, redelivered: true).Acked(0).Seen(1).Seen(1, count: 1).Acked(1).IsRight();
        new Story().SentAll(1).Seen(0).Seen(0).Acked(0).Violates(Oracle.Duplicate);
        new Story().SentAll(1).Seen(0, redelivered: true).Seen(0).Acked(0).Violates(Oracle.Duplicate);
    }

    [Test]
    public void Nothing_comes_back_after_its_acknowledgement_was_confirmed()
    {
        new Story().SentAll(1).Consumed(0).Seen(0, redelivered: true).Violates(Oracle.Duplicate);
        new Story().SentAll(1).Consumed(0).StillThere(0).Violates(Oracle.Duplicate);
    }

    [Test]
    public void What_the_application_sent_twice_may_come_twice_but_not_three_times()
    {
        new Story().Sends(0).Unknown(0).Sent(0).Consumed(0, 0).IsRight();
        new Story().Sends(0).Unknown(0).Sent(0).Consumed(0, 0, 0).Violates(Oracle.Duplicate);
    }

    [Test]
    public void Order_is_that_of_sending_for_first_deliveries_to_one_consumer()
    {
        new Story().SentAll(3).Seen(0).Seen(1).Seen(0, redelivered: true).Acked(0).Acked(1).Consumed(2).IsRight();
        new Story().SentAll(3).Consumed(0, 2, 1).Violates(Oracle.Order);
        new Story().SentAll(3).Consumed(0).Seen(2).Acked(2).Seen(1, redelivered: true).Acked(1).Violates(Oracle.Order);
    }

    [Test]
    public void Order_is_not_asked_of_consumers_side_by_side_or_of_a_send_that_was_given_up()
    {
        new Story().SentAll(2).Seen(1, consumer: "other").Acked(1, consumer: "other").Consumed(0).IsRight();
        new Story().Sends(0).Unknown(0).Sent(1).Consumed(1, 0).IsRight();
    }

    [Test]
    public void A_committed_transaction_is_there_as_a_whole()
    {
        new Story().Sent(0, "t").Sent(1, "t").Committed("t").Consumed(0, 1).IsRight();
        new Story().Sent(0, "t").Sent(1, "t").Committed("t").Consumed(0).Violates(Oracle.Loss, Oracle.Transaction);
    }

    [Test]
    public void An_undone_transaction_leaves_nothing()
    {
        new Story().Sent(0, "t").Sent(1, "t").Aborted("t").IsRight();
        new Story().Sent(0, "t").Sent(1, "t").IsRight();
        new Story().Sent(0, "t").Commits("t").Aborted("t").Consumed(0).Violates(Oracle.Transaction);
        new Story().Sent(0, "t").Consumed(0).Violates(Oracle.Transaction);
    }

    [Test]
    public void A_transaction_of_unknown_outcome_took_place_as_a_whole_or_not_at_all()
    {
        new Story().Sent(0, "t").Sent(1, "t").CommitUnknown("t").IsRight();
        new Story().Sent(0, "t").Sent(1, "t").CommitUnknown("t").Consumed(0, 1).IsRight();
        var violation = new Story().Sent(0, "t").Sent(1, "t").CommitUnknown("t").Consumed(1).Violates(Oracle.Transaction).Single();
        Assert.That(violation.What, Is.EqualTo("t took place in part: the send of p:1 did, the send of p:0 did not"));
    }

    [Test]
    public void Nothing_of_a_transaction_is_seen_before_its_commit_is_asked_for() =>
        new Story().Sent(0, "t").Seen(0).Committed("t").Acked(0).Violates(Oracle.Transaction);

    [Test]
    public void Acknowledgements_are_part_of_their_transaction()
    {
        // A move from one message to another: both or none.
        Move().Committed("t").Consumed(1).IsRight();
        Move().Aborted("t").Seen(0, redelivered: true).Acked(0).IsRight();
        Move().CommitUnknown("t").Consumed(1).IsRight();
        Move().CommitUnknown("t").Seen(0, redelivered: true).Acked(0).IsRight();
        Move().CommitUnknown("t").StillThere(0).IsRight();

        Move().CommitUnknown("t").Violates(Oracle.Transaction);
        Move().CommitUnknown("t").Consumed(1).StillThere(0).Violates(Oracle.Transaction);
        Move().Aborted("t").Violates(Oracle.Loss, Oracle.Transaction);
        Move().Committed("t").Consumed(1).Seen(0, redelivered: true).Acked(0).Violates(Oracle.Duplicate, Oracle.Transaction);

        static Story Move() => new Story().Sent(0).Seen(0).Acks(0, "t").Sent(1, "t");
    }

    [Test]
    public void A_delivery_from_the_past_shows_a_message_and_is_no_duplicate()
    {
        new Story().Sent(0).Consumed(0).Late(0, consumer: "d").IsRight();
        new Story().Sent(0).Late(0).Acks(0).IsRight();
        new Story().Sent(0, "t").Committed("t").Late(0).Acks(0).IsRight();
        new Story().Sent(0).Seen(0).Acks(0, "t").Sent(1, "t").Aborted("t").Late(0).Acks(0, "u").Committed("u").IsRight();
        new Story().Late(7).Violates(Oracle.Phantom);
        new Story().Sent(0).Sent(1).Late(0).Seen(1, redelivered: true).Acked(1).Seen(0, redelivered: true).Acked(0).IsRight();
    }

    [Test]
    public void An_acknowledgement_outside_of_the_transaction_may_be_why_a_message_is_gone()
    {
        new Story().Sent(0).Seen(0).Acks(0).Seen(0, redelivered: true, consumer: "d").Acks(0, "t", consumer: "d").Sent(1, "t").Aborted("t").IsRight();
        new Story().Sent(0).Seen(0).Seen(0, redelivered: true, consumer: "d").Acks(0, "t", consumer: "d").Sent(1, "t").Aborted("t")
            .Violates(Oracle.Loss, Oracle.Transaction);
    }

    [Test]
    public void What_another_got_before_the_first_tried_to_commit_came_back() =>
        new Story().Sent(0).Seen(0).Sent(1, "t").Acks(0, "t").Seen(0, redelivered: true, consumer: "d").Acked(0, consumer: "d").CommitUnknown("t").IsRight();

    [Test]
    public void What_another_got_before_it_was_acknowledged_may_be_back_where_it_is_acknowledged()
    {
        Moved().Committed("t").Consumed(1).IsRight();
        Moved().Committed("t").Consumed(1).Seen(0, redelivered: true).Acked(0).Violates(Oracle.Duplicate, Oracle.Transaction);
        Moved().Aborted("t").Acks(0, "u", consumer: "d").Committed("u").IsRight();

        static Story Moved() => new Story().Sent(0).Seen(0).Seen(0, redelivered: true, consumer: "d").Sent(1, "t").Acks(0, "t");
    }

    [Test]
    public void What_was_refused_for_certain_never_appears()
    {
        new Story().Sends(0).Refused(0).IsRight();
        new Story().Sends(0).Refused(0).Sent(0).Consumed(0).IsRight();
        new Story().Sends(0).Refused(0).Consumed(0).Violates(Oracle.Honesty);
        new Story().Sends(0).Refused(0).StillThere(0).Violates(Oracle.Honesty);
    }

    [Test]
    public void A_history_that_contradicts_itself_was_recorded_wrongly()
    {
        Assert.That(() => HistoryChecker.Check(new Story().Sends(0).Sends(0, queue: "other").History), Throws.ArgumentException);
        Assert.That(() => HistoryChecker.Check(new Story().Committed("t").Aborted("t").History), Throws.ArgumentException);
    }

    [Test]
    public void What_several_processes_wrote_down_is_put_in_order_of_time()
    {
        var (early, late) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2));
        var history = new History();
        var message = new MessageIdentity("p", 0);
        history.Delivered("c", message, "q", 1, late, redelivered: false);
        history.AcknowledgeAttempted("c", message, late);
        history.SendAttempted(message, "q", 1, early, "t");
        history.SendConfirmed(message, early);
        history.CommitAttempted("t", early);
        history.Committed("t", early);
        Assert.That(HistoryChecker.Check(history), Is.Empty);
    }

    [Test]
    public void A_hash_is_the_one_that_anybody_computes() =>
        Assert.That((BodyHash.Of(""), BodyHash.Of("a"), BodyHash.Of("foobar")), Is.EqualTo((0xcbf29ce484222325, 0xaf63dc4c8601ec8c, 0x85944171f73967e8)));

    [Test]
    public void A_long_history_is_judged_the_same_each_time_and_its_cost_is_printed()
    {
        const int messages = 100_000;
        var story = new Story();
        for (var i = 0; i < messages; i++)
        {
            story.Sent(i);
            if (i % 1000 != 500)
            {
                story.Consumed(i);
            }
        }

        var clock = System.Diagnostics.Stopwatch.StartNew();
        var violations = HistoryChecker.Check(story.History);
        TestContext.Out.WriteLine($"{story.History.Count / clock.Elapsed.TotalSeconds:0} events a second");
        Assert.That(violations, Has.Count.EqualTo(1));
        Assert.That(violations[0].What, Does.StartWith($"p lost {messages / 1000} of {messages} confirmed messages, middle: 500, 1500, "));
        Assert.That(HistoryChecker.Check(story.History).Select(item => item.ToString()), Is.EqualTo(violations.Select(item => item.ToString())));
    }
}
