// Which invocation of its workgroup this is.

struct Invocation {
    @builtin(local_invocation_index) local: u32,
}
