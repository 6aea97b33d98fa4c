//! Which primary of a cluster keeps which slots, as one of its nodes says (`CLUSTER SLOTS`), and which slots our keys lie in.
//!
//! A key's slot is that of what stands in its braces: two hexadecimal digits, the low byte of a page's number. So all that a token
//! needs lies in one slot, and there are 256 of ours.

use redis::Value;

use super::endpoint::Address;
use crate::oauth::token::Page;

const SLOTS: u16 = 16_384;

/// What stands in the braces of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag(pub(super) u8);

/// The primaries of a cluster and their slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMap {
    /// `cluster_current_epoch` of the node that said so: a node that missed a failover has a lower one.
    pub(super) epoch: u64,
    pub(super) primaries: Vec<Address>,
    /// First and last slot, and the place of their primary. Sorted.
    ranges: Vec<(u16, u16, usize)>,
}

impl Tag {
    /// All there are.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// The tag of a page and of the grants of its tokens.
    pub(super) fn of(page: Page) -> Self {
        Self(page.number.to_be_bytes()[3])
    }

    /// The tag of a use.
    pub(super) fn of_use(digest: &[u8; 32]) -> Self {
        Self(digest[0])
    }

    /// As it stands in keys.
    pub(super) fn to_hex(self) -> [u8; 2] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        [DIGITS[usize::from(self.0 >> 4)], DIGITS[usize::from(self.0 & 15)]]
    }

    /// The slot of keys with it.
    pub(super) fn slot(self) -> u16 {
        slot_of(&self.to_hex())
    }
}

/// The slot of a key that has no braces, or of what stands in them.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    crc16(key) % SLOTS
}

/// CRC-16/XMODEM, of which the slots of a cluster are made.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

impl SlotMap {
    /// Reads the replies to `CLUSTER SLOTS` and `CLUSTER INFO` of a node that was `asked`.
    ///
    /// # Errors
    /// A sentence for the log.
    pub(super) fn read(slots: &Value, info: &Value, asked: &Address) -> Result<Self, String> {
        let Value::Array(entries) = slots else { return Err("its slots are no list".into()) };
        let epoch = text(info).and_then(|info| {
            info.lines().find_map(|line| line.trim_end().strip_prefix("cluster_current_epoch:")?.parse().ok())
        });
        let epoch = epoch.ok_or("it has no cluster_current_epoch")?;
        let mut map = Self { epoch, primaries: Vec::new(), ranges: Vec::new() };
        for entry in entries {
            let (first, last, primary) = range(entry, asked).ok_or("its slots are not understood")?;
            let at = map.primaries.iter().position(|known| *known == primary).unwrap_or_else(|| {
                map.primaries.push(primary);
                map.primaries.len() - 1
            });
            map.ranges.push((first, last, at));
        }
        map.ranges.sort_unstable();
        if map.ranges.is_empty() { Err("it knows of no slots".into()) } else { Ok(map) }
    }

    /// The place of a slot's primary among [`SlotMap::primaries`], if it has one.
    pub(super) fn owner(&self, slot: u16) -> Option<usize> {
        let at = self.ranges.partition_point(|(first, ..)| *first <= slot).checked_sub(1)?;
        let (_, last, owner) = self.ranges[at];
        (slot <= last).then_some(owner)
    }
}

/// `[first, last, [host, port, …], …]`: the primary stands before its replicas. A node that does not know its own host is where it
/// was asked.
fn range(entry: &Value, asked: &Address) -> Option<(u16, u16, Address)> {
    let Value::Array(parts) = entry else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice() else { return None };
    let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
    let host = match host {
        Value::Nil => asked.host.clone(),
        host => text(host).filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| asked.host.clone()),
    };
    let slot = |slot: &i64| u16::try_from(*slot).ok().filter(|slot| *slot < SLOTS);
    Some((slot(first)?, slot(last)?, Address { host, port: u16::try_from(*port).ok()? }))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use redis::parse_redis_value;

    use super::*;

    /// What the replies of a real server look like is read.
    pub(in crate::store::redis) fn read(slots: &str, epoch: &str) -> Result<SlotMap, String> {
        let info = Value::BulkString(format!("cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\n").into_bytes());
        let asked = Address { host: "asked".into(), port: 1 };
        SlotMap::read(&parse_redis_value(slots.as_bytes()).unwrap(), &info, &asked)
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo"), 12182);
        let page = |number| Tag::of(Page { dead_second: 1, number });
        assert_eq!((page(0x1234_56AB).to_hex(), page(7).to_hex()), (*b"ab", *b"07"));
        assert_eq!(Tag::all().count(), 256);
    }

    #[test]
    fn the_slots_of_primaries_are_read_in_any_order() {
        let node = |host: &str, port: u16| format!("*2\r\n{host}\r\n:{port}\r\n");
        let named = format!("*3\r\n:100\r\n:200\r\n{}", node("$1\r\nb", 7001));
        let with_replica = format!("*4\r\n:0\r\n:9\r\n{}{}", node("$1\r\na", 7000), node("$1\r\nr", 7009));
        let nowhere = format!("*3\r\n:16383\r\n:16383\r\n{}", node("_", 7002));
        let map = read(&format!("*3\r\n{named}{with_replica}{nowhere}"), "7").unwrap();
        assert_eq!(map.epoch, 7);
        let owner = |slot| map.owner(slot).map(|at| map.primaries[at].to_string());
        let expected = [(0, "a:7000"), (9, "a:7000"), (100, "b:7001"), (200, "b:7001"), (16383, "asked:7002")];
        for (slot, address) in expected {
            assert_eq!(owner(slot).as_deref(), Some(address), "{slot}");
        }
        assert!([10, 99, 201, 16382].into_iter().all(|slot| owner(slot).is_none()));
        assert!(read("*0\r\n", "7").unwrap_err().contains("no slots"));
        assert!(read("*1\r\n:1\r\n", "7").unwrap_err().contains("not understood"));
        assert!(read(&format!("*1\r\n{named}"), "x").unwrap_err().contains("epoch"));
    }
}
