//! What a host name may look like.

use core::net::Ipv4Addr;

/// Whether `name` is a host name by RFC 1123, section 2.1.
pub(super) fn is_host_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label) && name.parse::<Ipv4Addr>().is_err()
}

fn is_label(label: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(letters)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::is_host_name;

    #[test]
    fn host_names_are_labels_with_dots_between() {
        for name in ["n", "n0", "3com", "a-b", "a.b.c", "xn--bcher-kva.example"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in [
            "", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a_b", "a b", "bücher", "10.0.0.1",
        ] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    #[test]
    fn labels_have_63_bytes_at_most_and_names_253() {
        let label = "a".repeat(63);
        assert!(is_host_name(&label));
        assert!(!is_host_name(&format!("{label}a")));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(is_host_name(&longest));
        assert!(!is_host_name(&format!("{longest}a")));
    }
}
