//! Distinguished names: as an operator writes them (RFC 4514) and as certificates hold them, compared by what they say.
//!
//! Invariant: two names are the same where they have the same attributes with the same decoded values in the same order, however each was
//! escaped or encoded; letters in values are not folded, so that a name never means more than was written.

use data_encoding::HEXLOWER_PERMISSIVE;
use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::x509::X509Name;

/// The attributes that have a name of their own: those of RFC 4514 section 3, then what certificates of companies hold.
const TYPES: [(&str, &str); 21] = [
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("C", "2.5.4.6"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("SN", "2.5.4.4"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("TITLE", "2.5.4.12"),
    ("BUSINESSCATEGORY", "2.5.4.15"),
    ("POSTALCODE", "2.5.4.17"),
    ("GN", "2.5.4.42"),
    ("GIVENNAME", "2.5.4.42"),
    ("DNQUALIFIER", "2.5.4.46"),
    ("PSEUDONYM", "2.5.4.65"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
    ("E", "1.2.840.113549.1.9.1"),
];

/// A name: its parts from the outermost (a country, say) inwards, as certificates hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName(Vec<Part>);

/// Attributes that stand together (`CN=a+UID=b`), sorted: their order says nothing.
type Part = Vec<Attribute>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    /// In dots and digits.
    oid: String,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    /// Of a type that is no text: its DER.
    Other(Vec<u8>),
}

/// Why a text is no distinguished name; for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError(pub &'static str);

impl DistinguishedName {
    /// Reads the form of RFC 4514, the innermost part first: `CN=billing,O=Example,C=DE`.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut parts = vec![Part::new()];
        let mut rest = text;
        loop {
            let (attribute, behind) = Attribute::parse(rest)?;
            if let Some(part) = parts.last_mut() {
                part.push(attribute);
            }
            match behind.split_at_checked(1) {
                None => break,
                Some((separator, behind)) => {
                    if separator != "+" {
                        parts.push(Part::new());
                    }
                    rest = behind;
                }
            }
        }
        parts.reverse();
        parts.iter_mut().for_each(|part| part.sort_unstable());
        Ok(Self(parts))
    }

    /// Whether a certificate's name is this one.
    pub fn is(&self, name: &X509Name<'_>) -> bool {
        let mut parts = Vec::new();
        for rdn in name.iter_rdn() {
            let attribute = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
                let value = Value::of(attribute.attr_value())?;
                Some(Attribute { oid: attribute.attr_type().to_id_string(), value })
            };
            let part: Option<Part> = rdn.iter().map(attribute).collect();
            let Some(mut part) = part else { return false };
            part.sort_unstable();
            parts.push(part);
        }
        parts == self.0
    }
}

impl Attribute {
    /// One attribute, and what stands behind it: nothing, or a separator and more.
    fn parse(text: &str) -> Result<(Self, &str), NameError> {
        let (name, rest) = text.split_once('=').ok_or(NameError("an attribute without `=`"))?;
        let name = name.trim();
        let by_name = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, oid)| *oid);
        let oid = by_name.or_else(|| Some(name).filter(|name| is_oid(name)));
        let oid = oid.ok_or(NameError("an attribute of no known name; write its object identifier"))?.to_owned();
        let rest = rest.trim_start_matches(' ');
        let (value, behind) = match rest.strip_prefix('#') {
            Some(hex) => {
                let end = hex.find([',', '+', ';']).unwrap_or(hex.len());
                (Value::of_hex(hex[..end].trim_end())?, &hex[end..])
            }
            None => {
                let (bytes, behind) = unescape(rest)?;
                let text = String::from_utf8(bytes).map_err(|_| NameError("a value that is not UTF-8"))?;
                (Value::Text(text), behind)
            }
        };
        Ok((Self { oid, value }, behind))
    }
}

/// A value up to the next separator, without what escapes: `\` before a special character, or before two hexadecimal digits of a byte.
fn unescape(text: &str) -> Result<(Vec<u8>, &str), NameError> {
    let bytes = text.as_bytes();
    let mut value = Vec::new();
    // Spaces at the end count where they are escaped.
    let mut kept = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b',' | b'+' | b';' => break,
            b'\\' => {
                let pair = bytes.get(at + 1..at + 3).and_then(|pair| HEXLOWER_PERMISSIVE.decode(pair).ok());
                match (pair, bytes.get(at + 1)) {
                    (Some(byte), _) => {
                        value.extend(byte);
                        at += 3;
                    }
                    (None, Some(special)) if b" \"#+,;<=>\\".contains(special) => {
                        value.push(*special);
                        at += 2;
                    }
                    _ => return Err(NameError("a `\\` before what needs none")),
                }
                kept = value.len();
            }
            b'"' | b'<' | b'>' | 0 => return Err(NameError("a character that must be escaped by `\\`")),
            _ => {
                value.push(byte);
                at += 1;
                if byte != b' ' {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    Ok((value, &text[at..]))
}

impl Value {
    fn of_hex(hex: &str) -> Result<Self, NameError> {
        let wrong = NameError("behind `#` stands no value in DER");
        let der = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| wrong)?;
        match Any::from_der(&der) {
            Ok((&[], any)) => Self::of(&any).ok_or(wrong),
            _ => Err(wrong),
        }
    }

    /// `None` where it is said to be text and is none.
    fn of(any: &Any<'_>) -> Option<Self> {
        let ascii = |bytes: &[u8]| bytes.is_ascii().then(|| String::from_utf8_lossy(bytes).into_owned());
        let text = match any.tag() {
            // What a tag of another class means, only whoever made it knows.
            _ if any.class() != Class::Universal => return Some(Self::other(any)),
            Tag::Utf8String => std::str::from_utf8(any.data).ok()?.to_owned(),
            Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => ascii(any.data)?,
            // As all who issue such certificates mean it: ISO 8859-1.
            Tag::TeletexString => any.data.iter().map(|byte| char::from(*byte)).collect(),
            Tag::BmpString => {
                let (units, []) = any.data.as_chunks::<2>() else { return None };
                String::from_utf16(&units.iter().map(|unit| u16::from_be_bytes(*unit)).collect::<Vec<_>>()).ok()?
            }
            Tag::UniversalString => {
                let (units, []) = any.data.as_chunks::<4>() else { return None };
                units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect::<Option<String>>()?
            }
            _ => return Some(Self::other(any)),
        };
        Some(Self::Text(text))
    }

    /// Compared by every byte.
    fn other(any: &Any<'_>) -> Self {
        let mut bytes = vec![any.class() as u8];
        bytes.extend(any.tag().0.to_be_bytes());
        bytes.extend_from_slice(any.data);
        Self::Other(bytes)
    }
}

fn is_oid(text: &str) -> bool {
    text.contains('.') && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn x05_one_name_in_many_spellings() {
        let same = [
            r"CN=Smith\, Jane+UID=7,O=Ex\C3\A4mple,C=DE",
            r"UID=7+CN=Smith\, Jane,O=Exämple,C=DE",
            r"cn=Smith\, Jane+uid=7,o=Exämple,c=DE",
            r"CN=Smith\2C Jane + UID=7, O=Exämple, C=DE",
            r"CN = Smith\2c\20Jane+UID = 7; O = Exämple ; C = DE",
            r"2.5.4.3=Smith\, Jane+0.9.2342.19200300.100.1.1=7,2.5.4.10=Exämple,2.5.4.6=DE",
            r"CN=#0c0b536d6974682c204a616e65+UID=7,O=Exämple,C=DE",
            r"CN=#130b536d6974682c204a616e65+UID=7,O=Exämple,C=DE",
            r"CN=#1e160053006d006900740068002c0020004a0061006e0065+UID=#0C0137,O=Exämple,C=#13024445",
        ];
        for other in same {
            assert_eq!(name(same[0]), name(other), "{other}");
        }
        let others = [
            r"CN=Smith\, Jane,UID=7,O=Exämple,C=DE",
            r"C=DE,O=Exämple,CN=Smith\, Jane+UID=7",
            r"CN=Smith\, Jane+UID=7,O=Exämple",
            r"CN=smith\, jane+UID=7,O=Exämple,C=DE",
            r"CN=Smith\, Jane\ +UID=7,O=Exämple,C=DE",
            r"CN=Smith\, Jane+UID=#020107,O=Exämple,C=DE",
            // Of a class whose number only its maker knows.
            r"CN=#8c0b536d6974682c204a616e65+UID=7,O=Exämple,C=DE",
        ];
        for other in others {
            assert_ne!(name(same[0]), name(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let bad = [
            "",
            "billing",
            "CN",
            "=x",
            "XX=x",
            "CN=a,",
            "CN=a+",
            "1.=x",
            r"CN=a\",
            r"CN=a\q",
            "CN=<a>",
            "CN=#zz",
            "CN=#0c05aa",
        ];
        for text in bad {
            assert!(DistinguishedName::parse(text).is_err(), "{text}");
        }
        assert!(DistinguishedName::parse(r"CN=\ff").is_err(), "no UTF-8");
    }
}
