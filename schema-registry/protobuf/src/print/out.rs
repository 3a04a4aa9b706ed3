//! A text that indents each line by the depth at its first character, also an empty one: the separators of nested messages carry their blanks.

#[derive(Debug, Default)]
pub(super) struct Out {
    text: String,
    level: usize,
    at_start: bool,
}

impl Out {
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            level: 0,
            at_start: true,
        }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        for line in text.split_inclusive('\n') {
            if self.at_start {
                for _ in 0..self.level {
                    self.text.push_str("  ");
                }
            }
            self.text.push_str(line);
            self.at_start = line.ends_with('\n');
        }
        self
    }

    pub(super) fn push_number(&mut self, number: i32) -> &mut Self {
        self.push(&number.to_string())
    }

    /// Opens lines that are two blanks further in.
    pub(super) fn open(&mut self) {
        self.level += 1;
    }

    /// Ends them, with a line end if there is none.
    pub(super) fn close(&mut self) {
        if !self.at_start {
            self.push("\n");
        }
        self.level -= 1;
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}
