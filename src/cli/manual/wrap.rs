//! Breaks lines between words, never within one, so that a word keeps its colour.

use textwrap::{Options, WordSplitter, WrapAlgorithm};

/// Lines of at most `width` columns.
pub(super) fn wrap(width: usize) -> Options<'static> {
    Options::new(width)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false)
}
