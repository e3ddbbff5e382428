//! What this node says of itself to the others.

use darner_link::{ClusterKey, CpuFeatures, Identity};

use super::config::ClusterConfig;
use super::links::Sealer;
use crate::abi::entropy;
use crate::arch::{cpu, percpu};
use crate::panic;

/// Who this node is, and the key that proves that it belongs to the cluster. Boot. Ends the node
/// when it has no key, or when nothing makes random bytes.
pub fn of_this_node(config: &ClusterConfig, image: [u8; 32]) -> (ClusterKey, Identity) {
    let key = match &config.key {
        Some(Ok(key)) => {
            let cipher = config.cipher.unwrap_or_else(Sealer::fastest);
            key.clone().sealed_by(cipher.for_links())
        }
        Some(Err(bad)) => panic::refuse(format_args!("cluster.key: {bad}")),
        None => panic::refuse(format_args!(
            "found no key of the cluster, expected cluster.key= and 64 hexadecimal digits that nobody else knows, \
             the same on all nodes"
        )),
    };
    let mut incarnation = [0; 8];
    if let Err(error) = entropy::fill(&mut incarnation) {
        panic::refuse(format_args!(
            "nothing makes the random bytes that links between nodes need: {error:?}"
        ));
    }
    let (xcr0, cpuid) = cpu::program_features();
    let identity = Identity {
        node: config.me.0,
        incarnation: u64::from_le_bytes(incarnation),
        cluster_size: config.nodes,
        cpus: percpu::online() as u16,
        image,
        features: CpuFeatures { xcr0, cpuid },
    };
    (key, identity)
}
