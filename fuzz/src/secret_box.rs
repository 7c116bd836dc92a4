//! SecretBox: every provider and every path of the SIMD crate, in place and in pieces, and the raw kernels against their
//! portable twins.

use arbitrary::{Arbitrary, Unstructured};
use studioml_envelope_core::{CHUNK, Nonce, SecretBox, SessionKey, Tag, Unauthentic};
use studioml_envelope_simd::hazmat::{self, Path};

use crate::providers::ALL;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    key: [u8; 32],
    nonce: Nonce,
    /// Where in a buffer the text begins: kernels read and write whole vectors.
    offset: u8,
    /// Repeats the text, so that short inputs reach long loops.
    repeat: u8,
    tag_change: Tag,
    text_change: Option<(u32, u8)>,
    text: &'a [u8],
}

impl Input<'_> {
    fn plaintext(&self) -> Vec<u8> {
        self.text.repeat(usize::from(self.repeat % 33) + 1)
    }
}

/// Every part that there is.
fn parts() -> impl Iterator<Item = (&'static str, &'static dyn SecretBox)> {
    let paths = Path::ALL.into_iter().filter_map(|path| Some((path.name(), hazmat::secret_box(path)?)));
    ALL.iter().map(|provider| (provider.name, provider.secret_box)).chain(paths)
}

/// Seals, changes, opens, with all of them.
pub fn secret_box(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let plaintext = input.plaintext();
    let key = || SessionKey::from_bytes(input.key);
    let offset = usize::from(input.offset % 64);

    let mut first: Option<(Vec<u8>, Tag)> = None;
    for (name, part) in parts() {
        let mut buffer = [vec![0xaa; offset], plaintext.clone(), vec![0xbb; 64]].concat();
        let text = &mut buffer[offset..offset + plaintext.len()];
        let tag = part.seal_in_place(&key(), &input.nonce, text);
        let sealed = (text.to_vec(), tag);
        assert!(buffer[..offset].iter().all(|byte| *byte == 0xaa), "{name} wrote before the text");
        assert!(buffer[offset + plaintext.len()..].iter().all(|byte| *byte == 0xbb), "{name} wrote behind the text");

        let mut pieces = Vec::new();
        let tag = part.seal_chunks(&key(), &input.nonce, &plaintext, &mut |piece| {
            assert!((1..=CHUNK).contains(&piece.len()), "{name}: a piece of {}", piece.len());
            pieces.extend_from_slice(piece);
        });
        assert_eq!((&pieces, tag), (&sealed.0, sealed.1), "{name}: in pieces and in place");
        match &first {
            Some(first) => assert_eq!(*first, sealed, "{name} and the first"),
            None => first = Some(sealed),
        }
    }
    let Some((sealed, tag)) = first else { return };

    let mut altered_tag = tag;
    altered_tag.iter_mut().zip(input.tag_change).for_each(|(byte, change)| *byte ^= change);
    let mut altered = sealed.clone();
    if let Some((at, change)) = input.text_change
        && !altered.is_empty()
    {
        let at = at as usize % altered.len();
        altered[at] ^= change;
    }
    let unaltered = altered_tag == tag && altered == sealed;
    for (name, part) in parts() {
        let mut buffer = [vec![0xaa; offset], altered.clone(), vec![0xbb; 64]].concat();
        let text = &mut buffer[offset..offset + plaintext.len()];
        let verdict = part.open_in_place(&key(), &input.nonce, &altered_tag, text);
        assert_eq!(verdict, if unaltered { Ok(()) } else { Err(Unauthentic) }, "{name}");
        let expected = if unaltered { &plaintext } else { &altered };
        assert!(text == expected, "{name}: what is not authentic is not decrypted");
        assert!(buffer[..offset].iter().all(|byte| *byte == 0xaa), "{name} wrote before the text");
        assert!(buffer[offset + plaintext.len()..].iter().all(|byte| *byte == 0xbb), "{name} wrote behind the text");
    }
}

#[derive(Arbitrary, Debug)]
struct Kernels<'a> {
    key: [u8; 32],
    hsalsa_input: [u8; 16],
    nonce: [u8; 8],
    counter: u64,
    near_the_end: bool,
    repeat: u8,
    text: &'a [u8],
}

/// The kernels one by one: HSalsa20, Salsa20 at any block counter, Poly1305 under any one-time key.
pub fn kernels(data: &[u8]) {
    let Ok(input) = Kernels::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let text = input.text.repeat(usize::from(input.repeat % 33) + 1);
    let portable = hazmat::kernels(Path::Portable).expect("every CPU has the portable path");
    // a counter that carries into its upper half, or is about to
    let mut counter = if input.near_the_end { u64::from(u32::MAX) - (input.counter & 0x1f) } else { input.counter };
    // the portable twin refuses to wrap the counter; no message is that long
    counter = counter.min(u64::MAX - (text.len() as u64 / 64 + 2));

    let hsalsa = portable.hsalsa20(&input.key, &input.hsalsa_input);
    let mut xored = text.clone();
    portable.salsa20_xor(&input.key, &input.nonce, counter, &mut xored);
    let tag = portable.poly1305(&input.key, &text);
    assert_eq!(hazmat::poly1305_short(&input.key, &text), tag, "in 64-bit words");
    for (name, kernels) in Path::ALL.into_iter().filter_map(|path| Some((path.name(), hazmat::kernels(path)?))) {
        assert_eq!(kernels.hsalsa20(&input.key, &input.hsalsa_input), hsalsa, "{name}");
        let mut buffer = [text.as_slice(), &[0xbb; 64]].concat();
        kernels.salsa20_xor(&input.key, &input.nonce, counter, &mut buffer[..text.len()]);
        assert!(buffer[..text.len()] == xored, "{name}: salsa20 from block {counter}");
        assert!(buffer[text.len()..].iter().all(|byte| *byte == 0xbb), "{name} wrote behind the text");
        assert_eq!(kernels.poly1305(&input.key, &text), tag, "{name}");

        // the beginning of a message has a kernel of its own, which makes so many bytes and no more
        let length = text.len().min(kernels.first_len());
        let (mut stream, mut expected) = (vec![0xcc; length], vec![0; length]);
        kernels.salsa20_first(&input.key, &input.nonce, &mut stream);
        portable.salsa20_xor(&input.key, &input.nonce, 0, &mut expected);
        assert_eq!(stream, expected, "{name}: the first {length} bytes of the stream");
    }
}
