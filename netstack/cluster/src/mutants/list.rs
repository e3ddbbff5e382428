mutants! {
    /// A side that is told of an abort does not close its half.
    AbortNotAnswered,
    /// A promise does not tell of what was accepted.
    AcceptedNotReported,
    /// Answers are not said again on a new link.
    AnswersForgotten,
    /// Transactions do not end at their deadlines.
    DeadlineIgnored,
    /// Requests to a node that has died do not end.
    DeathNotNoticed,
    /// One member that accepts is enough.
    DecidesAlone,
    /// A transaction that was given up ends again when the peer gives it up.
    EndToldTwice,
    /// A request follows a port without end.
    FollowsForever,
    /// A member that has accepted a view goes on granting leases in this one.
    GrantsAfterAccepting,
    /// Any half of the members decides.
    HalfIsEnough,
    /// Leases that members have of the view before are not waited for.
    LaggardsNotAwaited,
    /// A member serves though its lease is over.
    LeaseNeverEnds,
    /// A view is accepted though those who are not in it may still serve.
    LeaseNotAwaited,
    /// The user is not told of transactions that end with their link.
    LossNotTold,
    /// Requests are not said again on a new link.
    NotSentAgain,
    /// A transaction's number may be used again.
    NumberUsedTwice,
    /// Messages of old views are taken for ones of this view.
    OldViewHeard,
    /// A part is begun though its parent has ended.
    OrphansTaken,
    /// A life that was evicted is taken in again.
    OutlivedReturns,
    /// A new request goes where a port is now, though older ones are on their way back.
    OvertakesReturning,
    /// What is asked of a port that is back overtakes what was asked before it was away.
    OvertakesWhatCameBack,
    /// A proposer leaves out whom it does not hear, whoever else does.
    OwnEarsOnly,
    /// A member that has accepted a view goes on granting itself a lease in this one.
    OwnGrantAfterAccepting,
    /// A member accepts a view without itself though its own lease may last longer.
    OwnLeaseNotAwaited,
    /// Parts do not end with their parents.
    PartsOutlive,
    /// A node that was left out may go on asking ports.
    PastHeard,
    /// A member takes part in a ballot below one that it has promised.
    PromiseBroken,
    /// A request that is said again is begun again.
    RequestTakenTwice,
    /// A new life takes over its slot from the old one in one view.
    SlotHandedOver,
    /// Who is no member is listened to like one.
    StrangerHeard,
    /// Requests do not end at their deadlines.
    WaitsForever,
}
