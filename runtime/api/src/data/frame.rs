//! Slices of shared buffers: 16 bytes each, cloned by counting a reference.

#![allow(unsafe_code)] // one call, in Text::as_str: UTF-8 is checked when a Text is made, not at each use

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

/// A shared, immutable buffer: a read from a socket, a fetched batch, or the bytes of one owned value.
///
/// One allocation per frame, however many values point into it. A frame lives as long as its last slice: call [`Text::detach`] before keeping a small slice of
/// a big frame for long.
#[derive(Clone)]
pub struct Frame(Arc<Bytes>);

impl Frame {
    /// Wraps a buffer. Buffers of 4 GiB and more cannot be addressed by slices and are refused by [`slice`](Self::slice).
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(Arc::new(bytes.into()))
    }

    /// All bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Bytes `start..start + len`, or `None` when that is outside the frame.
    pub fn slice(&self, start: u32, len: u32) -> Option<Blob> {
        let end = (start as usize).checked_add(len as usize)?;
        (end <= self.0.len()).then(|| Blob {
            frame: self.clone(),
            start,
            len,
        })
    }

    /// The same as text, or `None` when outside the frame or not UTF-8.
    pub fn text(&self, start: u32, len: u32) -> Option<Text> {
        self.slice(start, len)?.into_text()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.0.len())
    }
}

/// Bytes in a [`Frame`].
#[derive(Clone)]
pub struct Blob {
    frame: Frame,
    start: u32,
    len: u32,
}

impl Blob {
    /// Takes ownership of bytes (two small allocations).
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let len = u32::try_from(bytes.len()).expect("a value of 4 GiB or more cannot be held");
        Self {
            frame: Frame::new(bytes),
            start: 0,
            len,
        }
    }

    /// The frame this is a slice of.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Where in [`frame`](Self::frame) it starts.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// Part `start..start + len` of this slice, or `None` when outside.
    #[inline]
    pub fn slice(&self, start: u32, len: u32) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Self {
            frame: self.frame.clone(),
            start: self.start + start,
            len,
        })
    }

    /// The same bytes as text, without copying, when they are UTF-8.
    #[inline]
    pub fn into_text(self) -> Option<Text> {
        std::str::from_utf8(&self).is_ok().then_some(Text(self))
    }

    /// A copy that does not keep the frame alive.
    pub fn detach(&self) -> Self {
        Self::new(Bytes::copy_from_slice(self))
    }
}

impl Deref for Blob {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.frame.0[self.start as usize..self.start as usize + self.len as usize]
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Blob {}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self::new(Bytes::copy_from_slice(bytes))
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

/// UTF-8 text in a [`Frame`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Blob);

impl Text {
    /// Takes ownership of a string (two small allocations).
    pub fn new(text: impl Into<String>) -> Self {
        Self(Blob::new(text.into().into_bytes()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: the only ways to make a Text are `new`, from a String, and `Blob::into_text`, which checks; a frame's bytes never change.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The same bytes.
    pub fn into_blob(self) -> Blob {
        self.0
    }

    /// A copy that does not keep the frame alive.
    pub fn detach(&self) -> Self {
        Self(self.0.detach())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_the_frame_and_check_bounds() {
        let frame = Frame::new(&b"abc\xffdef"[..]);
        assert_eq!(&*frame.text(0, 3).expect("text"), "abc");
        assert!(frame.text(2, 2).is_none(), "not UTF-8");
        assert!(frame.slice(5, 3).is_none());
        assert!(frame.slice(u32::MAX, u32::MAX).is_none());
        let part = frame.slice(4, 3).expect("slice").slice(1, 1).expect("part");
        assert_eq!(&*part, b"e");
        assert_eq!(part.detach(), part);
    }

    #[test]
    fn text_is_two_words() {
        assert_eq!(size_of::<Text>(), 16);
        assert_eq!(size_of::<Option<Text>>(), 16);
    }
}
