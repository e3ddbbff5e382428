mutants! { /// x
 A, }
