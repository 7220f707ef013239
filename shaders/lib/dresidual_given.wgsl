// binds: dresidual read_write
// The gradient by the residual is the one by z.

fn write_dresidual(address: u32, gradients: Values) {
    dresidual[address] = pack(gradients);
}
