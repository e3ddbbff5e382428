mutants! {
    /// Any half of the members decides.
    HalfIsEnough,
}
