// uses: coefficients
// binds: dx read_write
// dx where the statistics are not the batch's: dx = gradient by z * invstd * gamma, without a word of the sums.

fn write_frozen_dx(address: u32, gradients: Values, k: Coefficients) {
    dx[address] = pack(times(times(gradients, k.e), k.f));
}
