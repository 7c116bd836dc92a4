//! The order of work, the same on every vector path: NaCl `secretbox` (D. J. Bernstein, *Cryptography in NaCl*, §9).
//!
//! Block 0 of the XSalsa20 stream gives the one-time MAC key (32 bytes) and covers the first 32 bytes of the message; block i
//! covers the 64 from byte 64·i − 32 on. A message that fits is served from the first call of the cipher alone.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use studioml_envelope_core::{CHUNK, Nonce, SessionKey, Tag, Unauthentic};
use subtle::ConstantTimeEq;

use crate::salsa20::{BLOCK, Matrix, Stream};
use crate::span::Span;

/// Bytes of the stream that the MAC key takes.
const MAC_KEY: usize = 32;

/// The kernels of one path. A value of an implementing type is the proof that this CPU has them.
///
/// All of them are written into one function per path and operation, the one that the path's features are enabled for.
pub(crate) trait Kernels: Copy {
    /// A MAC in the making.
    type Mac;

    /// Blocks that [`first_blocks`](Self::first_blocks) gives at most: 2 to [`FIRST_BLOCKS`].
    const FIRST_BLOCKS: usize;

    /// Up to how many bytes a message has its MAC made by [`short_mac`](Self::short_mac); the first blocks cover as many.
    const SHORT: usize;

    /// The matrix of XSalsa20.
    fn xsalsa20(self, key: &[u8; 32], input: &[u8; 16], nonce: &[u8; 8], matrix: &mut Matrix);
    /// The first `blocks` blocks of key stream.
    fn first_blocks(self, matrix: &Matrix, blocks: usize, stream: &mut Stream<FIRST_BLOCKS>);
    /// XORs `key_stream`, which is at least as long, onto `span`.
    fn xor_bytes(self, span: Span<'_>, key_stream: &[u8]);
    /// XORs the key stream from block `counter` on onto `span`.
    fn xor(self, matrix: &Matrix, counter: u64, span: Span<'_>);

    /// The tag of a whole message.
    fn short_mac(self, key: &[u8; 32], ciphertext: &[u8]) -> Tag;
    /// A MAC for a message of `len` bytes.
    fn mac(self, key: &[u8; 32], len: usize) -> Self::Mac;
    /// Takes what it can off the front of `ciphertext` and returns how many bytes that was: all but less than a group.
    fn mac_update(self, mac: &mut Self::Mac, ciphertext: &[u8]) -> usize;
    /// The tag, after the rest.
    fn mac_finish(self, mac: &mut Self::Mac, rest: &[u8]) -> Tag;
}

/// The most blocks that any path makes at first.
pub(crate) const FIRST_BLOCKS: usize = 17;

/// Room in front of a piece for the ciphertext that the MAC has not taken yet: less than its largest group.
const PENDING: usize = 128;

/// What a message begins with.
struct Start {
    matrix: Matrix,
    stream: Stream<FIRST_BLOCKS>,
}

impl Start {
    #[inline(always)]
    fn new<K: Kernels>(kernels: K, key: &SessionKey, nonce: &Nonce, len: usize) -> Self {
        let mut start = Self { matrix: Matrix([0; 16]), stream: Stream([[0; BLOCK]; FIRST_BLOCKS]) };
        let Some((input, nonce)) = nonce.split_first_chunk::<16>() else { unreachable!() };
        let Some(nonce) = nonce.first_chunk::<8>() else { unreachable!() };
        kernels.xsalsa20(key.expose_secret(), input, nonce, &mut start.matrix);
        let blocks = len.saturating_add(MAC_KEY).div_ceil(BLOCK).min(K::FIRST_BLOCKS);
        kernels.first_blocks(&start.matrix, blocks, &mut start.stream);
        start
    }

    #[inline(always)]
    fn mac_key(&self) -> &[u8; MAC_KEY] {
        let Some((mac_key, _)) = self.stream.0.as_flattened().split_first_chunk() else { unreachable!() };
        mac_key
    }

    /// XORs the stream onto the beginning of a message, as far as the first blocks go.
    #[inline(always)]
    fn xor_first<K: Kernels>(&self, kernels: K, span: &mut Span<'_>) {
        let (_, key_stream) = self.stream.0.as_flattened().split_at(MAC_KEY);
        kernels.xor_bytes(span.take_up_to(covered::<K>()), key_stream);
    }

    /// XORs the stream onto what stands at `offset` of the message: 0, or where [`Pieces`] cuts it.
    #[inline(always)]
    fn xor_piece<K: Kernels>(&self, kernels: K, mut offset: usize, mut span: Span<'_>) {
        if offset == 0 {
            self.xor_first(kernels, &mut span);
            offset = covered::<K>();
        }
        kernels.xor(&self.matrix, ((offset + MAC_KEY) / BLOCK) as u64, span);
    }
}

/// How much of a message the first blocks cover.
const fn covered<K: Kernels>() -> usize {
    K::FIRST_BLOCKS * BLOCK - MAC_KEY
}

/// Cuts a message into pieces that stay in the first-level cache: the first ends with a pass of the cipher after the first
/// blocks, all others but the last are [`CHUNK`] long.
struct Pieces<K> {
    offset: usize,
    len: usize,
    kernels: PhantomData<K>,
}

impl<K: Kernels> Pieces<K> {
    const FIRST: usize = {
        const PASS: usize = 16 * BLOCK;
        covered::<K>() + (CHUNK - covered::<K>()) / PASS * PASS
    };

    #[inline(always)]
    fn new(len: usize) -> Self {
        Self { offset: 0, len, kernels: PhantomData }
    }

    /// Offset and length of the next piece. Empty behind the end.
    #[inline(always)]
    fn next(&mut self) -> (usize, usize) {
        let offset = self.offset;
        let len = (self.len - offset).min(if offset == 0 { Self::FIRST } else { CHUNK });
        self.offset += len;
        (offset, len)
    }
}

#[inline(always)]
pub(crate) fn seal_in_place<K: Kernels>(kernels: K, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
    let start = Start::new(kernels, key, nonce, text.len());
    if text.len() <= K::SHORT {
        start.xor_first(kernels, &mut Span::in_place(text));
        return kernels.short_mac(start.mac_key(), text);
    }
    let mut mac = kernels.mac(start.mac_key(), text.len());
    let mut pieces = Pieces::<K>::new(text.len());
    let mut authenticated = 0;
    loop {
        let (offset, len) = pieces.next();
        let (_, piece) = text.split_at_mut(offset);
        let (piece, behind) = piece.split_at_mut(len);
        let last = behind.is_empty();
        start.xor_piece(kernels, offset, Span::in_place(piece));
        let (ready, _) = text.split_at(offset + len);
        let (_, ready) = ready.split_at(authenticated);
        if last {
            return kernels.mac_finish(&mut mac, ready);
        }
        authenticated += kernels.mac_update(&mut mac, ready);
    }
}

/// Ciphertext on its way to the sink: never plaintext, never key stream.
#[repr(C, align(64))]
struct Scratch([MaybeUninit<u8>; PENDING + CHUNK]);

impl Scratch {
    /// # Safety
    /// The bytes from `from` to `to` have been written.
    #[inline(always)]
    unsafe fn written(&self, from: usize, to: usize) -> &[u8] {
        let (front, _) = self.0.split_at(to);
        let (_, range) = front.split_at(from);
        // SAFETY: as the caller promises.
        unsafe { range.assume_init_ref() }
    }
}

#[inline(always)]
pub(crate) fn seal_chunks<K: Kernels>(
    kernels: K,
    key: &SessionKey,
    nonce: &Nonce,
    plaintext: &[u8],
    sink: &mut dyn FnMut(&[u8]),
) -> Tag {
    let start = Start::new(kernels, key, nonce, plaintext.len());
    let mut scratch = Scratch([MaybeUninit::uninit(); PENDING + CHUNK]);
    if plaintext.len() <= K::SHORT {
        let (room, _) = scratch.0.split_at_mut(plaintext.len());
        start.xor_first(kernels, &mut Span::between(plaintext, room));
        // SAFETY: the kernels have written the whole span.
        let ciphertext = unsafe { scratch.written(0, plaintext.len()) };
        let tag = kernels.short_mac(start.mac_key(), ciphertext);
        if !ciphertext.is_empty() {
            sink(ciphertext);
        }
        return tag;
    }
    let mut mac = kernels.mac(start.mac_key(), plaintext.len());
    let mut pieces = Pieces::<K>::new(plaintext.len());
    let mut pending = 0;
    loop {
        let (offset, len) = pieces.next();
        let (_, piece) = plaintext.split_at(offset);
        let (piece, behind) = piece.split_at(len);
        let (_, room) = scratch.0.split_at_mut(PENDING);
        let (room, _) = room.split_at_mut(len);
        start.xor_piece(kernels, offset, Span::between(piece, room));
        let end = PENDING + len;
        // SAFETY: the kernels have written the whole span, and what is pending was copied to just before it.
        let ready = unsafe { scratch.written(PENDING - pending, end) };
        if behind.is_empty() {
            let tag = kernels.mac_finish(&mut mac, ready);
            // SAFETY: the kernels have written the whole span.
            sink(unsafe { scratch.written(PENDING, end) });
            return tag;
        }
        pending = ready.len() - kernels.mac_update(&mut mac, ready);
        scratch.0.copy_within(end - pending..end, PENDING - pending);
        // SAFETY: the kernels have written the whole span.
        sink(unsafe { scratch.written(PENDING, end) });
    }
}

#[inline(always)]
pub(crate) fn open_in_place<K: Kernels>(
    kernels: K,
    key: &SessionKey,
    nonce: &Nonce,
    tag: &Tag,
    text: &mut [u8],
) -> Result<(), Unauthentic> {
    let start = Start::new(kernels, key, nonce, text.len());
    let expected = if text.len() <= K::SHORT {
        kernels.short_mac(start.mac_key(), text)
    } else {
        kernels.mac_finish(&mut kernels.mac(start.mac_key(), text.len()), text)
    };
    if !bool::from(expected.ct_eq(tag)) {
        return Err(Unauthentic);
    }
    start.xor_piece(kernels, 0, Span::in_place(text));
    Ok(())
}
