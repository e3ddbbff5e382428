use alloc::format;
use alloc::string::ToString;
use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn config(words: &[&str]) -> NetworkConfig {
    let mut config = NetworkConfig::default();
    for word in words {
        assert_eq!(config.take(word), Ok(true), "{word}");
    }
    config
}

fn problem(word: &str) -> (String, Problem) {
    let mut config = NetworkConfig::default();
    let error = config.take(word).expect_err(word);
    assert_eq!(config, NetworkConfig::default(), "{word}");
    (error.found, error.problem)
}

#[test]
fn without_words_interfaces_configure_themselves() {
    let config = NetworkConfig::default();
    assert_eq!(config.interface(0), InterfaceConfig::default());
    assert_eq!(config.interface(usize::MAX), InterfaceConfig::default());
    assert_eq!(config.diag, None);
}

#[test]
fn each_interface_has_its_own_words() {
    let config = config(&[
        "net0.ip=10.0.2.15/24,10.0.2.2",
        "net1.ip=off",
        "net1.ip6=fd00::15/64,fe80::2",
        "net1.mtu=9000",
        "net255.mtu=1280",
    ]);
    let first = config.interface(0);
    let address = Ipv4Addr::new(10, 0, 2, 15);
    let gateway = Some(Ipv4Addr::new(10, 0, 2, 2));
    let prefix = 24;
    let expected = V4::Static {
        address,
        prefix,
        gateway,
    };
    assert_eq!((first.v4, first.v6, first.mtu), (expected, V6::Auto, None));
    let second = config.interface(1);
    let expected = V6::Static {
        address: "fd00::15".parse().unwrap(),
        prefix: 64,
        gateway: Some("fe80::2".parse().unwrap()),
    };
    assert_eq!(
        (second.v4, second.v6, second.mtu),
        (V4::Off, expected, Some(9000))
    );
    assert_eq!(config.interface(255).mtu, Some(1280));
    assert_eq!(config.interface(256), InterfaceConfig::default());
    assert!(config.named_interfaces().eq([0, 1, 255]));
}

#[test]
fn words_without_a_number_mean_the_first_interface() {
    let short = config(&["ip=off", "ip6=off", "mtu=1500"]);
    let long = config(&["net0.ip=off", "net0.ip6=off", "net0.mtu=1500"]);
    assert_eq!(short, long);
}

#[test]
fn the_later_word_holds() {
    let config = config(&["ip=off", "net0.ip=dhcp", "dns=10.0.0.1", "dns=10.0.0.2"]);
    assert_eq!(config.interface(0).v4, V4::Dhcp);
    assert_eq!(
        config.interface(0).dns,
        ["10.0.0.2".parse::<IpAddr>().unwrap()]
    );
}

#[test]
fn the_nodes_own_words_hold_for_all_interfaces() {
    let config = config(&[
        "dns=10.0.2.3,fd00::3,127.0.0.1",
        "hostname=n0.example",
        "diag=9090",
    ]);
    for index in [0, 7] {
        let interface = config.interface(index);
        assert_eq!(interface.host_name.as_deref(), Some("n0.example"));
        assert_eq!(interface.dns.len(), 3);
    }
    assert_eq!(config.host_name(), Some("n0.example"));
    assert_eq!(config.diag, Some(9090));
}

#[test]
fn words_of_others_are_left_to_them() {
    let mut config = NetworkConfig::default();
    for word in [
        "",
        "=",
        "ip",
        "dns",
        "hostname",
        "log=debug",
        "net",
        "net0",
        "net0=ip",
        "network.ip=off",
        "net.ip=off",
        "neta.ip=off",
        "net-1.ip=off",
        "IP=off",
        "exit=0xf4",
    ] {
        assert_eq!(config.take(word), Ok(false), "{word}");
    }
    assert_eq!(config, NetworkConfig::default());
}

#[test]
fn interfaces_are_numbered_to_255() {
    let wrong = ("256".to_string(), Problem::InterfaceNumber);
    assert_eq!(problem("net256.ip=dhcp"), wrong);
    let wrong = ("dns".to_string(), Problem::Setting);
    assert_eq!(problem("net0.dns=10.0.0.1"), wrong);
    assert_eq!(problem("net0.ip"), ("ip".to_string(), Problem::NoValue));
}

#[test]
fn ipv4_words_that_cannot_be_followed() {
    let longest = 32;
    for (value, found, expected) in [
        ("", "", Problem::V4Mode),
        ("DHCP", "DHCP", Problem::V4Mode),
        ("10.0.2.15", "10.0.2.15", Problem::V4Mode),
        ("10.0.2/24", "10.0.2", Problem::V4Address),
        ("fd00::1/64", "fd00::1", Problem::V4Address),
        ("10.0.2.15/33", "33", Problem::Prefix { longest }),
        ("10.0.2.15/", "", Problem::Prefix { longest }),
        ("10.0.2.15/+24", "+24", Problem::Prefix { longest }),
        ("10.0.2.15/24/1", "24/1", Problem::Prefix { longest }),
        ("0.0.0.0/0", "0.0.0.0", Problem::NotUnicast),
        ("127.0.0.1/8", "127.0.0.1", Problem::NotUnicast),
        ("224.0.0.1/24", "224.0.0.1", Problem::NotUnicast),
        ("255.255.255.255/32", "255.255.255.255", Problem::NotUnicast),
        ("10.0.2.0/24", "10.0.2.0", Problem::NetworkItself),
        ("10.0.2.255/24", "10.0.2.255", Problem::NetworkItself),
        ("10.0.2.15/24,", "", Problem::V4Address),
        (
            "10.0.2.15/24,10.0.3.1",
            "10.0.3.1",
            Problem::GatewayElsewhere,
        ),
        (
            "10.0.2.15/24,10.0.2.255",
            "10.0.2.255",
            Problem::NetworkItself,
        ),
        (
            "10.0.2.15/24,10.0.2.15",
            "10.0.2.15",
            Problem::GatewayIsInterface,
        ),
        (
            "10.0.2.15/24,10.0.2.1,10.0.2.2",
            "10.0.2.1,10.0.2.2",
            Problem::V4Address,
        ),
    ] {
        assert_eq!(
            problem(&format!("ip={value}")),
            (found.to_string(), expected),
            "{value}"
        );
    }
}

#[test]
fn ipv4_networks_of_one_and_two_addresses_have_no_broadcast() {
    let config = config(&[
        "ip=10.0.2.0/31,10.0.2.1",
        "net1.ip=10.0.2.0/32",
        "net2.ip=10.1.2.3/0",
    ]);
    for (index, bits) in [(0, 31), (1, 32), (2, 0)] {
        let v4 = config.interface(index).v4;
        assert!(
            matches!(v4, V4::Static { prefix, .. } if prefix == bits),
            "{v4:?}"
        );
    }
}

#[test]
fn ipv6_words_that_cannot_be_followed() {
    let longest = 128;
    for (value, found, expected) in [
        ("dhcp", "dhcp", Problem::V6Mode),
        ("[fd00::1]/64", "[fd00::1]", Problem::V6Address),
        ("fe80::1%0/64", "fe80::1%0", Problem::V6Address),
        ("fd00::1/129", "129", Problem::Prefix { longest }),
        ("::/0", "::", Problem::NotUnicast),
        ("::1/128", "::1", Problem::NotUnicast),
        ("ff02::1/64", "ff02::1", Problem::NotUnicast),
        ("::ffff:10.0.0.1/96", "::ffff:10.0.0.1", Problem::NotUnicast),
        ("fd00::1/64,fd01::1", "fd01::1", Problem::GatewayElsewhere),
        ("fd00::1/64,ff02::2", "ff02::2", Problem::NotUnicast),
        ("fd00::1/64,fd00::1", "fd00::1", Problem::GatewayIsInterface),
    ] {
        assert_eq!(
            problem(&format!("ip6={value}")),
            (found.to_string(), expected),
            "{value}"
        );
    }
}

#[test]
fn other_words_that_cannot_be_followed() {
    for (word, found, expected) in [
        ("mtu=1279", "1279", Problem::Mtu),
        ("net3.mtu=9001", "9001", Problem::Mtu),
        ("mtu=65536", "65536", Problem::Mtu),
        ("mtu=+1500", "+1500", Problem::Mtu),
        ("dns=", "", Problem::NameServer),
        ("dns=10.0.0.1,", "", Problem::NameServer),
        ("dns=ns.example", "ns.example", Problem::NameServer),
        ("dns=0.0.0.0", "0.0.0.0", Problem::NameServer),
        (
            "dns=1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5",
            "1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5",
            Problem::TooManyNameServers,
        ),
        ("hostname=-", "-", Problem::HostName),
        ("diag=0", "0", Problem::Port),
        ("diag=65536", "65536", Problem::Port),
        ("diag=on", "on", Problem::Port),
    ] {
        assert_eq!(problem(word), (found.to_string(), expected), "{word}");
    }
}

#[test]
fn errors_tell_what_was_found_what_was_expected_and_what_to_do() {
    let mut config = NetworkConfig::default();
    let error = config.take("net1.ip=10.0.2.15/40").unwrap_err();
    assert_eq!(
        error.to_string(),
        "net1.ip: found \"40\", expected the number of the prefix's bits, 0 to 32; write the \
         number after the address and a slash, as in 10.0.2.15/24 or fd00::15/64"
    );
}

/// Characters of network words, so that some are nearly right.
fn word() -> impl Strategy<Value = String> {
    let key = "(net[0-9]{0,4}\\.?)?(ip|ip6|mtu|dns|hostname|diag|[a-z.]{0,4})";
    let value = "[0-9a-z.:/,=%-]{0,40}|[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,3}(,[0-9.]{1,15})?";
    (key, value).prop_map(|(key, value)| format!("{key}={value}"))
}

proptest! {
    #[test]
    fn no_word_panics(word in prop_oneof![any::<String>(), word()]) {
        let mut config = NetworkConfig::default();
        if let Err(error) = config.take(&word) {
            prop_assert_eq!(&config, &NetworkConfig::default());
            prop_assert!(!error.to_string().is_empty());
        }
        config.interface(0);
    }

    #[test]
    fn ipv4_addresses_with_prefixes_come_back(bits: u32, prefix in 0_u8..=32, gateway: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let gateway = Ipv4Addr::from_bits(gateway);
        let word = format!("ip={address}/{prefix},{gateway}");
        let mut config = NetworkConfig::default();
        if config.take(&word).is_ok() {
            let expected = V4::Static { address, prefix, gateway: Some(gateway) };
            prop_assert_eq!(config.interface(0).v4, expected);
        }
    }

    #[test]
    fn ipv6_addresses_with_prefixes_come_back(bits in any::<u128>(), prefix in 0_u8..=128) {
        // Global addresses, which begin with these three bits.
        let address = Ipv6Addr::from_bits(bits >> 3 | 1 << 125);
        let config = config(&[&format!("ip6={address}/{prefix}")]);
        let expected = V6::Static { address, prefix, gateway: None };
        prop_assert_eq!(config.interface(0).v6, expected);
    }
}
