// uses: block
// A workgroup's share: which part of which block.

struct Share {
    block: u32,
    part: u32,
    begin: u32,
    end: u32,
}

fn share_of(group: u32) -> Share {
    let part = group / params.blocks;
    let begin = part * params.chunk;
    return Share(group - part * params.blocks, part, begin, min(begin + params.chunk, params.vectors));
}
