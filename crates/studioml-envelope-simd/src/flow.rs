//! The order of work, the same on every vector path: NaCl `secretbox` (D. J. Bernstein, *Cryptography in NaCl*, §9).
//!
//! Block 0 of the XSalsa20 stream gives the one-time MAC key (32 bytes) and covers the first 32 bytes of the message; block i
//! covers the 64 from byte 64·i − 32 on. Short messages ([`short`]) are served from one call of the cipher and keep a small
//! stack; longer ones are cut into pieces that stay in the first-level cache, each encrypted and then authenticated.
//!
//! Every function here is written into an island (see `paths`) and leaves the wiping of what the compiler spilled to it.
//! What is secret and has a name stands above, in the frame of the island that calls this one.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use studioml_envelope_core::{CHUNK, Nonce, SessionKey, Tag, Unauthentic};
use subtle::ConstantTimeEq;

use crate::salsa20::{BLOCK, MAC_KEY, Matrix, Stream};
use crate::span::Span;

/// The most blocks that a short message needs.
pub(crate) const FEW_BLOCKS: usize = 6;

/// The most blocks that any path makes at first for a message that is not short, and in one pass after that.
pub(crate) const FIRST_BLOCKS: usize = 17;

/// The kernels of one path. A value of an implementing type is the proof that this CPU has them.
pub(crate) trait Kernels: Copy {
    /// A MAC in the making. The default is of no message.
    type Mac: Default;

    /// Blocks that [`begin`](Self::begin) makes at most: more than [`FEW_BLOCKS`], at most [`FIRST_BLOCKS`].
    const FIRST: usize;

    /// The matrix of XSalsa20.
    fn xsalsa20(self, key: &[u8; 32], input: &[u8; 16], nonce: &[u8; 8], matrix: &mut Matrix);
    /// The first `blocks` blocks of key stream, of a few.
    fn few_blocks(self, matrix: &Matrix, blocks: usize, stream: &mut Stream<FEW_BLOCKS>);
    /// The first blocks of key stream that a message of `len` bytes needs, or [`FIRST`](Self::FIRST) if that are fewer: the first of
    /// them in its place, the others as [`xor_first`](Self::xor_first) wants them. And [`mac_begin`](Self::mac_begin) under the
    /// key that they give: beside the blocks if there are units to spare.
    fn begin(self, matrix: &mut Matrix, len: usize, stream: &mut Stream<FIRST_BLOCKS>, mac: &mut Self::Mac);
    /// XORs the key stream behind the MAC key onto `span`.
    ///
    /// # Safety
    /// [`begin`](Self::begin) has been called for a message that `span` is the whole of, or of which it
    /// covers what those blocks cover.
    unsafe fn xor_first(self, matrix: &Matrix, span: Span<'_>, stream: &mut Stream<FIRST_BLOCKS>);
    /// XORs `key_stream`, which is at least as long, onto `span`.
    fn xor_bytes(self, span: Span<'_>, key_stream: &[u8]);
    /// XORs the key stream from block `counter` on onto `span`. Key stream that passes through memory does so in `work`.
    fn xor(self, matrix: &Matrix, counter: u64, span: Span<'_>, work: &mut Stream<FIRST_BLOCKS>);

    /// The tag of a short message.
    fn short_mac(self, key: &[u8; 32], ciphertext: &[u8]) -> Tag;
    /// Begins the MAC of a message of `len` bytes, at least one.
    fn mac_begin(self, mac: &mut Self::Mac, key: &[u8; MAC_KEY], len: usize);
    /// Takes what it can off the front of `ciphertext` and returns how many bytes that was: all but less than a group.
    fn mac_update(self, mac: &mut Self::Mac, ciphertext: &[u8]) -> usize;
    /// The tag, after the rest.
    fn mac_finish(self, mac: &mut Self::Mac, rest: &[u8]) -> Tag;
}

/// Messages of at most [`short::MAX`] bytes.
pub(crate) mod short {
    use super::*;

    /// Covered by the few blocks.
    pub(crate) const MAX: usize = FEW_BLOCKS * BLOCK - MAC_KEY;

    #[inline(always)]
    pub(crate) fn seal_in_place<K: Kernels>(
        kernels: K,
        start: &mut Start<FEW_BLOCKS>,
        key: &SessionKey,
        nonce: &Nonce,
        text: &mut [u8],
    ) -> Tag {
        let (mac_key, key_stream) = start.begin(kernels, key, nonce, text.len());
        kernels.xor_bytes(Span::in_place(text), key_stream);
        kernels.short_mac(mac_key, text)
    }

    /// Seals `plaintext` into `ciphertext`, of the same length.
    #[inline(always)]
    pub(crate) fn seal_into<K: Kernels>(
        kernels: K,
        start: &mut Start<FEW_BLOCKS>,
        key: &SessionKey,
        nonce: &Nonce,
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Tag {
        let (mac_key, key_stream) = start.begin(kernels, key, nonce, plaintext.len());
        kernels.xor_bytes(Span::from_to(plaintext, ciphertext), key_stream);
        kernels.short_mac(mac_key, ciphertext)
    }

    #[inline(always)]
    pub(crate) fn open_in_place<K: Kernels>(
        kernels: K,
        start: &mut Start<FEW_BLOCKS>,
        key: &SessionKey,
        nonce: &Nonce,
        tag: &Tag,
        text: &mut [u8],
    ) -> Result<(), Unauthentic> {
        let (mac_key, key_stream) = start.begin(kernels, key, nonce, text.len());
        check(&kernels.short_mac(mac_key, text), tag)?;
        kernels.xor_bytes(Span::in_place(text), key_stream);
        Ok(())
    }
}

#[inline(always)]
pub(crate) fn seal_in_place<K: Kernels>(
    kernels: K,
    work: &mut Work<K>,
    key: &SessionKey,
    nonce: &Nonce,
    text: &mut [u8],
) -> Tag {
    work.begin(kernels, key, nonce, text.len());
    let mut pieces = Pieces::<K>::new(text.len());
    let mut authenticated = 0;
    loop {
        let (offset, len) = pieces.next();
        let (_, piece) = text.split_at_mut(offset);
        let (piece, behind) = piece.split_at_mut(len);
        let last = behind.is_empty();
        // SAFETY: it has been begun, and this is a piece.
        unsafe { work.xor(kernels, offset, Span::in_place(piece)) };
        let (ready, _) = text.split_at(offset + len);
        let (_, ready) = ready.split_at(authenticated);
        if last {
            return kernels.mac_finish(&mut work.mac, ready);
        }
        authenticated += kernels.mac_update(&mut work.mac, ready);
    }
}

#[inline(always)]
pub(crate) fn seal_chunks<K: Kernels>(
    kernels: K,
    work: &mut Work<K>,
    key: &SessionKey,
    nonce: &Nonce,
    plaintext: &[u8],
    scratch: &mut Scratch,
    sink: &mut dyn FnMut(&[u8]),
) -> Tag {
    work.begin(kernels, key, nonce, plaintext.len());
    let mut pieces = Pieces::<K>::new(plaintext.len());
    let mut pending = 0;
    loop {
        let (offset, len) = pieces.next();
        let (_, piece) = plaintext.split_at(offset);
        let (piece, behind) = piece.split_at(len);
        let (_, room) = scratch.0.split_at_mut(PENDING);
        let (room, _) = room.split_at_mut(len);
        // SAFETY: it has been begun, and this is a piece.
        unsafe { work.xor(kernels, offset, Span::between(piece, room)) };
        let end = PENDING + len;
        // SAFETY: the kernels have written the whole span, and what is pending was copied to just before it.
        let ready = unsafe { scratch.written(PENDING - pending, end) };
        if behind.is_empty() {
            let tag = kernels.mac_finish(&mut work.mac, ready);
            // SAFETY: the kernels have written the whole span.
            sink(unsafe { scratch.written(PENDING, end) });
            return tag;
        }
        pending = ready.len() - kernels.mac_update(&mut work.mac, ready);
        scratch.0.copy_within(end - pending..end, PENDING - pending);
        // SAFETY: the kernels have written the whole span.
        sink(unsafe { scratch.written(PENDING, end) });
    }
}

#[inline(always)]
pub(crate) fn open_in_place<K: Kernels>(
    kernels: K,
    work: &mut Work<K>,
    key: &SessionKey,
    nonce: &Nonce,
    tag: &Tag,
    text: &mut [u8],
) -> Result<(), Unauthentic> {
    work.begin(kernels, key, nonce, text.len());
    check(&kernels.mac_finish(&mut work.mac, text), tag)?;
    // SAFETY: it has been begun, and this is the whole.
    unsafe { work.xor(kernels, 0, Span::in_place(text)) };
    Ok(())
}

/// What is secret of a message that is not short. It stands in a frame above that of the kernels, so that it is wiped by
/// its drop, and once, and the stack behind it holds what the compiler spilled and nothing more. Wiped field by field.
pub(crate) struct Work<K: Kernels> {
    start: Start<FIRST_BLOCKS>,
    mac: K::Mac,
}

impl<K: Kernels> Work<K> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { start: Start::new(), mac: K::Mac::default() }
    }

    /// Makes as much of the stream as a message of `len` bytes needs and the kernels make at once, and begins its MAC.
    #[inline(always)]
    fn begin(&mut self, kernels: K, key: &SessionKey, nonce: &Nonce, len: usize) {
        let Start { matrix, stream } = &mut self.start;
        xsalsa20(kernels, key, nonce, matrix);
        kernels.begin(matrix, len, stream, &mut self.mac);
    }

    /// XORs the stream onto what stands at `offset` of the message: 0 first, then where [`Pieces`] cuts it.
    ///
    /// # Safety
    /// The message has been begun, and `span` is a piece of it that `Pieces` has cut, or the whole.
    #[inline(always)]
    unsafe fn xor(&mut self, kernels: K, offset: usize, span: Span<'_>) {
        let Start { matrix, stream } = &mut self.start;
        if offset == 0 {
            // SAFETY: as the caller promises; the first piece covers the first blocks or is the whole message.
            unsafe { kernels.xor_first(matrix, span, stream) };
        } else {
            kernels.xor(matrix, ((offset + MAC_KEY) / BLOCK) as u64, span, stream);
        }
    }
}

/// What a message begins with. Wiped on drop, field by field.
pub(crate) struct Start<const BLOCKS: usize> {
    matrix: Matrix,
    stream: Stream<BLOCKS>,
}

impl<const BLOCKS: usize> Start<BLOCKS> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { matrix: Matrix::new(), stream: Stream::new() }
    }
}

impl Start<FEW_BLOCKS> {
    /// Makes the stream that a short message of `len` bytes needs: the MAC's key, and what covers the message.
    #[inline(always)]
    fn begin<K: Kernels>(
        &mut self,
        kernels: K,
        key: &SessionKey,
        nonce: &Nonce,
        len: usize,
    ) -> (&[u8; MAC_KEY], &[u8]) {
        xsalsa20(kernels, key, nonce, &mut self.matrix);
        let blocks = blocks(len).min(FEW_BLOCKS);
        kernels.few_blocks(&self.matrix, blocks, &mut self.stream);
        // SAFETY: so many have just been written, at least one.
        unsafe { (self.stream.mac_key(), self.stream.behind_mac_key(blocks)) }
    }
}

/// Fills the matrix. In place: a struct that is returned may be copied, and the copy is not wiped.
#[inline(always)]
fn xsalsa20<K: Kernels>(kernels: K, key: &SessionKey, nonce: &Nonce, matrix: &mut Matrix) {
    let Some((input, nonce)) = nonce.split_first_chunk::<16>() else { unreachable!() };
    let Some(nonce) = nonce.first_chunk::<8>() else { unreachable!() };
    kernels.xsalsa20(key.expose_secret(), input, nonce, matrix);
}

/// Blocks that a message of `len` bytes needs.
#[inline(always)]
pub(crate) fn blocks(len: usize) -> usize {
    len.saturating_add(MAC_KEY).div_ceil(BLOCK)
}

/// How much of a message the first blocks cover.
const fn covered<K: Kernels>() -> usize {
    K::FIRST * BLOCK - MAC_KEY
}

/// Compares without telling where the difference is. As one number: slices are compared byte by byte, each byte behind its own
/// barrier, which takes some forty cycles.
#[inline(always)]
fn check(expected: &Tag, tag: &Tag) -> Result<(), Unauthentic> {
    let [expected, tag] = [expected, tag].map(|tag| u128::from_le_bytes(*tag));
    if bool::from(expected.ct_eq(&tag)) { Ok(()) } else { Err(Unauthentic) }
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

/// Room in front of a piece for the ciphertext that the MAC has not taken yet: less than its largest group.
const PENDING: usize = 128;

/// Ciphertext on its way to the sink: never plaintext, never key stream.
#[repr(C, align(64))]
pub(crate) struct Scratch([MaybeUninit<u8>; PENDING + CHUNK]);

impl Scratch {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self([MaybeUninit::uninit(); PENDING + CHUNK])
    }

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
