//! Both ends on serial ports: two pseudo-terminals with a wire between them.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::thread;

use super::line::{INJECT, all_sound, events, none_certified};
use super::target::{Target, model};

/// One end of the wire, the other side of it kept open, and the name of the port that it leads to.
fn end() -> (File, File, String) {
    // By the standard library, so that no process that is started meanwhile inherits them.
    let open = |name: &str| {
        let mut options = File::options();
        let options = options.read(true).write(true);
        options.custom_flags(libc::O_NOCTTY).open(name).unwrap()
    };
    let master = open("/dev/ptmx");
    let name = unlock(&master);
    (master, open(&name), name)
}

/// The name of the port that a pseudo-terminal leads to, which can be opened then.
#[allow(unsafe_code)]
fn unlock(master: &File) -> String {
    let mut name = [0; 64];
    // SAFETY: takes a descriptor, which is open.
    let unlocked = unsafe { libc::unlockpt(master.as_raw_fd()) };
    assert_eq!(unlocked, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: writes no more bytes than it is told there are.
    let named = unsafe { libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()) };
    assert_eq!(named, 0, "{}", std::io::Error::last_os_error());
    let name: Vec<u8> = name.iter().map(|byte| *byte as u8).collect();
    let name = CStr::from_bytes_until_nul(&name).unwrap();
    name.to_str().unwrap().to_owned()
}

/// Carries all bytes from one end to the other.
fn wire(mut from: File, mut to: File) {
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok(read) = from.read(&mut bytes) {
            if read == 0 || to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
    });
}

#[test]
fn a_serial_line_carries_frames_and_maps() {
    let (here, _kept_here, here_name) = end();
    let (there, _kept_there, there_name) = end();
    let arguments = ["--patch", "5x5", "--baud", "921600"];
    let mut target = Target::on(&there_name, &model(), &arguments);
    assert_eq!(target.port, there_name);
    wire(here.try_clone().unwrap(), there.try_clone().unwrap());
    wire(there, here);
    target.port = here_name;
    assert_eq!(all_sound(&events(&target.frames(&[]))), 6);
    assert_eq!(all_sound(&events(&target.maps(&[]))), 6);
    let damage = [&INJECT[..], &["--every", "4", "--count", "84"]].concat();
    none_certified(&events(&target.frames(&damage)));
}

#[test]
fn a_port_that_hangs_up_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("port");
    let (there, kept, there_name) = end();
    symlink(there_name, &port).unwrap();
    let name = port.to_str().unwrap();
    let mut target = Target::on(name, &model(), &["--patch", "5x5"]);
    drop((there, kept));
    // The same name is another port now, as where an adapter is plugged in again.
    target.says(&format!("\nbagcert-hil: {name}: "));
    let (there, _kept_there, there_name) = end();
    std::fs::remove_file(&port).unwrap();
    symlink(there_name, &port).unwrap();
    target.says("opened again");
    let (here, _kept_here, here_name) = end();
    wire(here.try_clone().unwrap(), there.try_clone().unwrap());
    wire(there, here);
    target.port = here_name;
    assert_eq!(all_sound(&events(&target.frames(&[]))), 6);
}
