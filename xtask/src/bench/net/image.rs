//! What Linux finds in memory when it boots: an archive with busybox, the modules of the
//! network card, a program, and a script that starts it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use cpio::newc;

use super::kernel::Linux;
use crate::error::{Context, Result};

/// Types and permissions, as inode(7) has them.
const FOLDER: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const PLAIN: u32 = 0o100_644;

/// Where the program is.
pub const PROGRAM: &str = "/program";
/// What the script says when the program has ended, before its status.
pub const ENDED: &str = "linux: ended with status ";

/// Something for the guest, by its path there.
pub struct Content {
    /// Without a slash in front; the folder that it is in must come before.
    pub path: String,
    mode: u32,
    bytes: Vec<u8>,
}

impl Content {
    /// A folder.
    pub fn folder(path: &str) -> Self {
        Self::new(path, FOLDER, Vec::new())
    }

    /// A file to be read.
    pub fn plain(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(path, PLAIN, bytes)
    }

    fn executable(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(path, EXECUTABLE, bytes)
    }

    fn new(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            mode,
            bytes: bytes.into(),
        }
    }
}

/// Writes the archive. The kernel's command line has to name the interface's `address`.
pub fn write(path: &Path, linux: &Linux, program: &[u8], more: Vec<Content>) -> Result<()> {
    let modules = linux.modules()?;
    let names: Vec<&str> = modules.iter().map(|(name, _)| name.as_str()).collect();
    let mut contents = vec![
        Content::executable("init", script(&names)),
        Content::executable("busybox", linux.busybox()?),
        Content::executable(PROGRAM.trim_start_matches('/'), program),
    ];
    contents.extend(["proc", "sys", "dev"].map(Content::folder));
    contents.extend((modules.iter()).map(|(name, bytes)| Content::plain(name, bytes.as_slice())));
    contents.extend(more);
    let archive = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for (number, content) in (1..).zip(&contents) {
            let entry = newc::Builder::new(&content.path)
                .ino(number)
                .mode(content.mode);
            let mut entry = entry.write(&mut file, content.bytes.len() as u32);
            entry.write_all(&content.bytes)?;
            entry.finish()?;
        }
        newc::trailer(&mut file)?.flush()
    };
    archive().context(|| format!("write {}", path.display()))
}

/// The first program that runs. Its arguments, which are those of the kernel's command line
/// behind `--`, are the program and its arguments.
fn script(modules: &[&str]) -> String {
    let load: String = modules
        .iter()
        .map(|name| format!("/busybox insmod /{name}\n"))
        .collect();
    format!(
        "#!/busybox sh\n\
         /busybox mount -t proc proc /proc\n\
         /busybox mount -t sysfs sys /sys\n\
         /busybox mount -t devtmpfs dev /dev\n\
         {load}\
         /busybox ip link set lo up\n\
         /busybox ip addr add $address dev eth0\n\
         /busybox ip link set eth0 up\n\
         \"$@\"\n\
         echo \"{ENDED}$?\"\n\
         /busybox poweroff -f\n"
    )
}

#[cfg(test)]
mod tests {
    use super::script;

    #[test]
    fn modules_are_loaded_in_their_order_before_the_interface_is_set_up() {
        let script = script(&["a.ko", "b.ko"]);
        let at = |part: &str| script.find(part).unwrap();
        assert!(at("insmod /a.ko\n") < at("insmod /b.ko\n"));
        assert!(at("insmod /b.ko\n") < at("ip addr add"));
        assert!(at("ip link set eth0 up") < at("\"$@\""));
        assert!(script.starts_with("#!/busybox sh\n"));
    }
}
