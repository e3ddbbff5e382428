mutants! {
    /// Of the coherence of pages.
    PAGES {
        /// A writer does not wait for the answers of sharers.
        AcksIgnored,
        /// A home does not tell a writer how many sharers will answer.
        AcksNotAwaited,
        /// A page that something is under way for comes along with a run.
        BusyPagesMayComeAlong,
        /// A home cedes a slice of which it has had no directory.
        CededUnheard,
        /// A page that its home gave to a node that died counts as current there.
        ClaimOfTheDeadsPage,
        /// A page that a node waits for, given by one that died, counts as current at its home.
        ClaimOfWhatIsOnTheWay,
        /// What is evicted is written back even if it was not written.
        CleanWrittenBackToo,
        /// The page table's dirty bit is not looked at.
        DirtNotNoticed,
        /// What is evicted is dropped even if it was written.
        DirtyDroppedSilently,
        /// A discarded page keeps its bytes.
        DiscardKeepsBytes,
        /// Each fault on a page sends a request.
        FollowersAskToo,
        /// The serial is not raised when an owner is asked to share or give.
        ForwardKeepsSerial,
        /// The serial is not raised at an exclusive grant.
        GrantKeepsSerial,
        /// What overtakes a grant is done before the grant has arrived.
        GrantOvertaken,
        /// A home takes its bytes for current though the holder's are newer.
        HomeBytesTakenForCurrent,
        /// A hint about a copy counts though its sender has asked again since.
        HintOvertaken,
        /// A holder forgets that the holder before it wrote.
        InheritedDirtForgotten,
        /// A hint about a copy of an older version counts.
        LateHintBelieved,
        /// A write-back under way does not count as the answer to a forward.
        LeavingAnswersTwice,
        /// A page that was given away by a node that died counts as one that nobody has.
        LossOnTheWayNotNoticed,
        /// A page whose owner died counts as one that nobody has.
        LossNotNoticed,
        /// A page that has just arrived is not held.
        NoHold,
        /// A home says nothing of pages that it gave to nodes that live.
        NothingClaimed,
        /// A home says nothing of the pages of a slice that it cedes that are all zeros.
        NothingSaidOfZeros,
        /// Pages of one instruction are not kept for each other.
        NothingPinned,
        /// A write-back that overtakes the note of the hand-over is taken for an old one.
        OvertakingWriteBackRefused,
        /// A home's own node keeps its copy when another writes.
        OwnCopyKept,
        /// A page that another node owns comes along with a run.
        OwnedPagesMayComeAlong,
        /// A requester is not told that it waits for any other pages.
        ParkedInSilence,
        /// Pages are kept for lower ones too.
        PinsInAnyOrder,
        /// A request that waits at its home counts as granted.
        QueuedCountsAsGranted,
        /// A reader is not entered in the directory.
        ReaderNotRecorded,
        /// A recall does not wait for those who have copies.
        RecallNotAwaited,
        /// What was written is not returned by a recall.
        RecalledBytesDropped,
        /// Bytes that a requester has are taken for current.
        SerialNotCompared,
        /// Sharers are not told of a writer.
        SharerNotInvalidated,
        /// A write-back is taken even if the page was given to another node since.
        StaleWriteBackRefused,
        /// Nobody is told of a write-back that got no answer when the view changes.
        VainWriteBackNotTold,
    }
    /// Of range records and range locks.
    LOCKS {
        /// A request does not wait for earlier ones of its node.
        EarlierNotAwaited,
        /// What an expelled node's threads hold stays held.
        ExpelledKeepLocks,
        /// What comes along with a request is taken before the request is complete.
        ExtentTakenAtOnce,
        /// A request is complete when one of several holders has ceded.
        FirstCedeSuffices,
        /// A thread that asks overtakes threads that came earlier and need not ask.
        FollowersOvertaken,
        /// Locks are granted while the node does not serve.
        GrantedWhileStopped,
        /// A lease is ceded and kept.
        LeaseKeptWhenCeded,
        /// A lease is ceded under a lock.
        LocksNotAwaited,
        /// Locks are not reported when the view changes.
        LocksNotReported,
        /// Of two records that are merged, one is forgotten.
        MergedHoldersForgotten,
        /// Neighbouring records that say the same stay two.
        NeighboursStayApart,
        /// A lease is ceded although a request that comes before needs it.
        PlacesNotKept,
        /// Ranges of one request are settled one by one.
        RangesOneByOne,
        /// Locks are granted under a lease that was recalled.
        RecallsIgnored,
        /// What came along is returned while it may come along again.
        ReturnedWhileAsking,
        /// A home serves before all reports of a view have come.
        ServedBeforeReports,
        /// Who holds a lock may act on it while the node does not serve.
        StoppedHoldersAct,
        /// What is left of a record after a change in its middle is forgotten.
        TailOfCutRecordForgotten,
        /// What is in use is given up when the home is short of room.
        UseNotNoticed,
        /// A reader does not wait for writers.
        WritersLeftToReaders,
    }
    /// Of waiting places.
    PARKING {
        /// Who had come to a barrier and died is told that it opens, if it is back.
        DeadKeepPlacesAtBarriers,
        /// A thread that may have missed a wake-up is not told to look again.
        GenerationNotCompared,
        /// Nobody looks again when the view has changed.
        NotRecheckedAfterView,
        /// A barrier opens when one is missing.
        OneMissingAtBarrier,
        /// Wake-ups do not count.
        WakesNotCounted,
        /// A thread that gives up does not wait for its home.
        WithdrawalNotAwaited,
    }
}
