//! Tokens of Rust source, as far as the rules need them: words, marks and string literals with their lines, no comments.
//!
//! Reading tokens instead of lines is what lets a rule see through formatting and never fire on a comment or a string.

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword; a raw one without its `r#`.
    Word(String),
    /// A string literal's text, escapes as written.
    Text(String),
    /// One character of punctuation; `::` is two.
    Mark(char),
    /// A number, a character or a lifetime.
    Other,
}

/// A token and the line it begins on, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(w) if w == word)
    }

    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// All tokens of `source`.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source.chars().collect(), at: 0, line: 1, found: Vec::new() };
    while lexer.at < lexer.rest.len() {
        lexer.step();
    }
    lexer.found
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn advance(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        c
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.found.push(Token { kind, line });
    }

    fn step(&mut self) {
        let line = self.line;
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.skip_line(),
            ('/', '*') => self.skip_block(),
            ('"', _) => self.text(line, 0),
            ('b' | 'c', '"') => {
                self.advance();
                self.text(line, 0);
            }
            ('r', '"' | '#') => self.raw(line),
            ('b' | 'c', 'r') if matches!(self.peek(2), '"' | '#') => {
                self.advance();
                self.raw(line);
            }
            ('b', '\'') => {
                self.advance();
                self.character(line);
            }
            ('\'', _) => self.character(line),
            (c, _) if c.is_alphabetic() || c == '_' => self.name(line),
            (c, _) if c.is_ascii_digit() => self.number(line),
            (c, _) => {
                self.advance();
                if !c.is_whitespace() {
                    self.push(Kind::Mark(c), line);
                }
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.rest.len() && self.peek(0) != '\n' {
            self.advance();
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0;
        while self.at < self.rest.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.advance();
                    continue;
                }
            }
            self.advance();
            self.advance();
            if depth == 0 {
                return;
            }
        }
    }

    /// A string whose end is `"` and `hashes` hash marks; with none, a backslash escapes.
    fn text(&mut self, line: usize, hashes: usize) {
        self.advance();
        let mut text = String::new();
        while self.at < self.rest.len() {
            let closes = self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#');
            let c = self.advance();
            if closes {
                self.at += hashes;
                break;
            }
            text.push(c);
            if c == '\\' && hashes == 0 {
                text.push(self.advance());
            }
        }
        self.push(Kind::Text(text), line);
    }

    /// `r"…"`, `r#"…"#` or the raw identifier `r#name`.
    fn raw(&mut self, line: usize) {
        let hashes = (1..).take_while(|ahead| self.peek(*ahead) == '#').count();
        if self.peek(1 + hashes) == '"' {
            self.at += 1 + hashes;
            if hashes == 0 {
                self.raw_without_hashes(line);
            } else {
                self.text(line, hashes);
            }
        } else {
            self.at += 1 + hashes;
            self.name(line);
        }
    }

    fn raw_without_hashes(&mut self, line: usize) {
        self.advance();
        let mut text = String::new();
        while self.at < self.rest.len() && self.peek(0) != '"' {
            text.push(self.advance());
        }
        self.advance();
        self.push(Kind::Text(text), line);
    }

    /// A character literal or a lifetime: both begin with a quote, and only the former ends with one.
    fn character(&mut self, line: usize) {
        self.advance();
        if self.peek(0) == '\\' {
            self.advance();
            self.advance();
            while self.at < self.rest.len() && self.advance() != '\'' {}
        } else if self.peek(1) == '\'' {
            self.advance();
            self.advance();
        } else {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.advance();
            }
        }
        self.push(Kind::Other, line);
    }

    fn name(&mut self, line: usize) {
        let mut name = String::new();
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            name.push(self.advance());
        }
        self.push(Kind::Word(name), line);
    }

    fn number(&mut self, line: usize) {
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            self.advance();
        }
        self.push(Kind::Other, line);
    }
}

#[test]
fn comments_and_strings_hide_words_and_lines_are_kept() {
    let source = "// a.unwrap()\n/* b /* c */ d */ let e = \"f.unwrap() \\\" g\";\nlet h = r#\"i \" j\"#; 'k'; &'l m; r#n '\\'' b'o' r\"\\\" p";
    let words: Vec<(String, usize)> =
        tokens(source).iter().filter_map(|t| t.word().map(|w| (w.to_owned(), t.line))).collect();
    let expected = [("let", 2), ("e", 2), ("let", 3), ("h", 3), ("m", 3), ("n", 3), ("p", 3)];
    assert_eq!(words, expected.map(|(word, line)| (word.to_owned(), line)));
}
