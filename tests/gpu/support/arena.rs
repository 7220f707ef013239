//! Buffers for tests: filled with NaN where nothing was put, with guard bands between them, in memory of their own or
//! all in one buffer.

use std::cell::RefCell;

use wgpu_batchnorm::{read_back, wgpu};

use super::gpu::Gpu;

/// A NaN in f32, and two of them in f16.
const POISON: u32 = 0x7fc1_7e17;

/// Whether tensors share a buffer, as with a host that sub-allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Separate,
    Shared,
}

impl Layout {
    pub const ALL: [Self; 2] = [Self::Separate, Self::Shared];
}

/// A range of memory in an arena.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    index: usize,
    /// Where it starts in its buffer, in words.
    word: usize,
    words: usize,
}

/// The memory of one test.
pub struct Arena<'a> {
    gpu: &'a Gpu,
    layout: Layout,
    poison: u32,
    contents: Vec<Vec<u32>>,
    slots: Vec<Slot>,
    buffers: RefCell<Vec<wgpu::Buffer>>,
}

impl<'a> Arena<'a> {
    pub fn new(gpu: &'a Gpu, layout: Layout) -> Self {
        Self::filled(gpu, layout, POISON)
    }

    /// With something else in place of the poison.
    pub fn filled(gpu: &'a Gpu, layout: Layout, poison: u32) -> Self {
        let buffers = RefCell::default();
        Self { gpu, layout, poison, contents: Vec::new(), slots: Vec::new(), buffers }
    }

    /// Memory with the given content; what pads it to whole words is poison.
    pub fn input(&mut self, bytes: &[u8]) -> Slot {
        let mut padded = self.poison.to_ne_bytes().repeat(bytes.len().div_ceil(4));
        padded[..bytes.len()].copy_from_slice(bytes);
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&padded);
        self.place(&words)
    }

    /// Memory full of poison.
    pub fn output(&mut self, bytes: u64) -> Slot {
        self.place(&vec![self.poison; bytes.div_ceil(4) as usize])
    }

    fn place(&mut self, words: &[u32]) -> Slot {
        assert!(self.buffers.borrow().is_empty(), "all slots are placed before the first binding");
        let guard = self.gpu.device.limits().min_storage_buffer_offset_alignment as usize / 4;
        if self.layout == Layout::Separate || self.contents.is_empty() {
            self.contents.push(Vec::new());
        }
        let index = self.contents.len() - 1;
        let poison = self.poison;
        let content = &mut self.contents[index];
        // At least one guard before it, and the next aligned position.
        let word = (content.len() + 1).next_multiple_of(guard.max(1));
        content.resize(word, poison);
        content.extend_from_slice(words);
        content.resize(content.len() + guard.max(1), poison);
        let slot = Slot { index, word, words: words.len() };
        self.slots.push(slot);
        slot
    }

    fn upload(&self) {
        let mut buffers = self.buffers.borrow_mut();
        if !buffers.is_empty() {
            return;
        }
        for content in &self.contents {
            let usage =
                wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let size = content.len() as u64 * 4;
            let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            let buffer = self.gpu.device.create_buffer(&descriptor);
            self.gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(content));
            buffers.push(buffer);
        }
    }

    /// The buffer that a slot lies in, its offset and its size in bytes.
    pub fn range(&self, slot: Slot) -> (wgpu::Buffer, u64, u64) {
        self.upload();
        (self.buffers.borrow()[slot.index].clone(), slot.word as u64 * 4, slot.words as u64 * 4)
    }

    /// Reads everything back and checks that only the slots named have changed.
    pub fn read(&self, written: &[Slot]) -> Memory {
        self.upload();
        let buffers = self.buffers.borrow();
        let contents: Vec<Vec<u32>> = buffers
            .iter()
            .map(|buffer| {
                let binding = buffer.as_entire_buffer_binding();
                pollster::block_on(read_back(&self.gpu.device, &self.gpu.queue, binding)).expect("read back")
            })
            .collect();
        for (index, (before, after)) in self.contents.iter().zip(&contents).enumerate() {
            for (word, (before, after)) in before.iter().zip(after).enumerate() {
                let inside = written
                    .iter()
                    .any(|slot| slot.index == index && (slot.word..slot.word + slot.words).contains(&word));
                assert!(inside || before == after, "buffer {index}: word {word} changed to {after:#x}");
            }
        }
        Memory { contents }
    }
}

/// What an arena held after a run.
pub struct Memory {
    contents: Vec<Vec<u32>>,
}

impl Memory {
    pub fn words(&self, slot: Slot) -> &[u32] {
        &self.contents[slot.index][slot.word..slot.word + slot.words]
    }

    pub fn records<T: bytemuck::Pod>(&self, slot: Slot) -> Vec<T> {
        bytemuck::pod_collect_to_vec(self.words(slot))
    }

    pub fn f32(&self, slot: Slot) -> Vec<f64> {
        self.records::<f32>(slot).into_iter().map(f64::from).collect()
    }
}
