// uses: vectors
// What a kernel's `first_of` and `second_of` give for a channel, for the channel of each lane.

struct Coefficients {
    a: Values,
    b: Values,
    c: Values,
    d: Values,
    e: Values,
    f: Values,
}
