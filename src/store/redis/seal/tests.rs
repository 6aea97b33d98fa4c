//! Records open at their own address alone, and their bytes stay as they were.

use proptest::prelude::*;
use ring::aead::{AES_256_GCM, UnboundKey};

use super::*;
use crate::oauth::keys::{KeyId, ServiceKey};
use crate::oauth::token::{Page, Token};

const DEAD_SECOND: u64 = 2_000_003_600;
const PLAIN: &str = "01177bf89a9d50e65c4e804196baa05cd6ab5523b4b60a23d0330439b2ee40df58e2113695cc87";
const BOUND_JKT: &str = "01177bf89a9d50e65c4e804196baa05cd6ab5523b4b60ab55cb2e5311b5fb905b84c92e6220358731610593b2f43c62c774ac\
                         a0f9f10b20f34b572b540a4c10d70176115974c19f4";
const BOUND_BOTH: &str = "01177bf89a9d50e65c4e804196baa05cd6ab5523b4b60ab46f81d602286c8a368b7fa1d511306b4025236a081c70f51f4479f\
                          93cac23813c9364597dabd5fd9cb3e6499b606ddb13b754a7d59a3506a332d85dae02b5ab171bade6ba17777a04386b519498d2c219";

fn service_key() -> ServiceKey {
    ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(1), &[1; 32])
}

fn key(dead_second: u64) -> LessSafeKey {
    let bytes = service_key().sub_key(&[b"record", &(dead_second / 3600).to_be_bytes()]);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).unwrap())
}

fn address(number: u32, random: u8) -> TokenAddress {
    Token::make("jt", &service_key(), Page { dead_second: DEAD_SECOND, number }, &[random; 20]).1
}

fn record(confirmation: Option<Confirmation>) -> OpenedRecord {
    OpenedRecord {
        issued_at: Timestamp::from_unix_millis(2_000_000_000_123),
        lifetime: Lifetime::from_seconds(3600),
        grant_id: GrantId([0x19, 0xc4, 0x7c, 0x52, 0x1d, 0x3a, 0xf9, 0x5c, 0xa0, 0x8c, 0x08, 0x0a]),
        confirmation,
    }
}

#[test]
// Computed by an implementation in another language.
fn golden_records() {
    let address = address(0x0607_0809, 0xAB);
    assert_eq!(data_encoding::HEXLOWER.encode(&address.field()), "db18af9ac62218cd");
    let (x5t, jkt) = (Some([0x11; 32]), Some([0x22; 32]));
    let cases = [
        (None, PLAIN),
        (Some(Confirmation { x5t_s256: None, jkt }), BOUND_JKT),
        (Some(Confirmation { x5t_s256: x5t, jkt }), BOUND_BOTH),
    ];
    for (confirmation, golden) in cases {
        let sealed = seal(&key(DEAD_SECOND), &address, &record(confirmation)).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(sealed.as_bytes()), golden);
        let opened = open(&key(DEAD_SECOND), &address, &mut sealed.as_bytes().to_vec());
        assert_eq!(opened, Ok(record(confirmation)));
    }
    assert_eq!(PLAIN.len(), 2 * RECORD_BYTES);
}

#[test]
fn another_version_is_unknown_and_nothing_at_all_is_broken() {
    let sealed = seal(&key(DEAD_SECOND), &address(1, 1), &record(None)).unwrap();
    for version in (0..=255).filter(|&version| version != VERSION) {
        let mut stored = sealed.as_bytes().to_vec();
        stored[0] = version;
        assert_eq!(open(&key(DEAD_SECOND), &address(1, 1), &mut stored), Err(Unreadable::UnknownVersion));
    }
    assert_eq!(open(&key(DEAD_SECOND), &address(1, 1), &mut []), Err(Unreadable::SealBroken));
    assert_eq!(open(&key(DEAD_SECOND), &address(1, 1), &mut [VERSION]), Err(Unreadable::SealBroken));
}

#[test]
fn ten_thousand_altered_swapped_and_copied_records_are_refused() {
    let sealing = key(DEAD_SECOND);
    let sealed = seal(&sealing, &address(1, 1), &record(None)).unwrap();
    let mut refused = 0;
    for at in 1..RECORD_BYTES {
        for by in 1..=255 {
            let mut stored = sealed.as_bytes().to_vec();
            stored[at] ^= by;
            assert_eq!(open(&sealing, &address(1, 1), &mut stored), Err(Unreadable::SealBroken));
            refused += 1;
        }
    }
    for random in 2..=255 {
        // Copied to a neighbour's field, to another page, and into another hour's page.
        let mut copies = [sealed.as_bytes().to_vec(), sealed.as_bytes().to_vec(), sealed.as_bytes().to_vec()];
        assert_eq!(open(&sealing, &address(1, random), &mut copies[0]), Err(Unreadable::SealBroken));
        assert_eq!(open(&sealing, &address(2, 1), &mut copies[1]), Err(Unreadable::SealBroken));
        assert_eq!(open(&key(DEAD_SECOND + 3600), &address(1, 1), &mut copies[2]), Err(Unreadable::SealBroken));
        refused += 3;
    }
    assert!(refused >= 10_000, "{refused}");
}

proptest! {
    #[test]
    fn what_was_sealed_opens(millis in 0u64..(1 << 48), seconds in 1u32.., id: [u8; 12], x5t: Option<[u8; 32]>, jkt: Option<[u8; 32]>) {
        let bound = x5t.is_some() || jkt.is_some();
        let saved = OpenedRecord {
            issued_at: Timestamp::from_unix_millis(millis),
            lifetime: Lifetime::from_seconds(seconds),
            grant_id: GrantId(id),
            confirmation: bound.then_some(Confirmation { x5t_s256: x5t, jkt }),
        };
        let sealed = seal(&key(DEAD_SECOND), &address(1, 1), &saved).unwrap();
        prop_assert!(bound || sealed.as_bytes().len() == RECORD_BYTES);
        prop_assert_eq!(open(&key(DEAD_SECOND), &address(1, 1), &mut sealed.as_bytes().to_vec()), Ok(saved));
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..130)) {
        prop_assert!(open(&key(DEAD_SECOND), &address(1, 1), &mut bytes.clone()).is_err());
    }
}
