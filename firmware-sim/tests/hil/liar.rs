//! Targets that answer what they must not: the harness notices.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use bagcert_certifier::{Fault, Verdict};
use bagcert_firmware_sim::packed::{Job, Layout};
use bagcert_firmware_sim::session::{Session, Target};
use bagcert_firmware_sim::wire::{self, Answer, Inbox, REPLY_LEN, Reply, message_len};

use super::line::{INJECT, harness};
use super::target::maps;

/// A target that changes its verdicts.
struct Liar(fn(&mut Verdict));

impl Target for Liar {
    const TICKS_PER_SECOND: u32 = 1000;

    fn ticks(&mut self) -> u32 {
        0
    }

    fn fits(&self, _: &Layout) -> bool {
        true
    }

    fn certify(&mut self, layout: &Layout, map: &[u8], job: Job) -> Result<Verdict, Fault> {
        let mut scores = vec![0; layout.shape().score_len()];
        let mut table = vec![0; layout.table_len()];
        let map = layout.unpack(map, &mut scores)?;
        let mut verdict = job.run(layout, &map, &mut table)?;
        (self.0)(&mut verdict);
        Ok(verdict)
    }
}

/// What becomes of an answer, given the verdict before; `None` where it is sent as it is.
type Excuse = fn(&Reply, Option<Reply>) -> Option<Reply>;

fn serve(mut stream: TcpStream, mut liar: Liar, excuse: Excuse) {
    let mut inbox = Inbox::new(vec![0; message_len(4096)]);
    let mut session = Session::default();
    let mut before = None;
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|read| read == 1) {
        let Some(message) = inbox.push(byte[0]) else {
            continue;
        };
        let reply = session.answer(&mut liar, message, 0);
        let reply = excuse(&reply, before).unwrap_or(reply);
        if matches!(reply, Reply::Verdict { .. }) {
            before = Some(reply);
        }
        let (mut scratch, mut wire) = ([0; REPLY_LEN], [0; REPLY_LEN]);
        let bytes = wire::write(&reply, &mut scratch, &mut wire).unwrap();
        if stream.write_all(bytes).is_err() {
            break;
        }
    }
}

/// The harness's exit status, and what it says.
fn met(lie: fn(&mut Verdict), excuse: Excuse, arguments: &[&str]) -> (Option<i32>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("tcp:{}", listener.local_addr().unwrap());
    thread::spawn(move || serve(listener.accept().unwrap().0, Liar(lie), excuse));
    let maps = maps();
    let mut all = vec!["--maps".as_ref(), maps.as_os_str()];
    all.extend(arguments.iter().map(std::ffi::OsStr::new));
    let output = harness(&port, &all);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_verdict_that_differs_in_one_field_is_an_error() {
    let (status, said) = met(|_| (), |_, _| None, &[]);
    assert_eq!(status, Some(0), "{said}");
    let lies: [fn(&mut Verdict); 6] = [
        |verdict| verdict.certified = true,
        |verdict| verdict.certified = false,
        |verdict| verdict.slack += 1,
        |verdict| verdict.predicted ^= 1,
        |verdict| verdict.rival ^= 1,
        |verdict| verdict.worst.x ^= 1,
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let (status, said) = met(lie, |_, _| None, &[]);
        assert_eq!(status, Some(1), "{number}: {said}");
        assert!(said.contains("wrong"), "{number}: {said}");
        assert!(said.contains("not this machine's"), "{number}: {said}");
    }
}

/// A target that certifies what it should refuse: damage, and what is out of order.
#[test]
fn a_verdict_on_damage_is_an_error() {
    fn certified(number: u32) -> Reply {
        let layout = Layout::from_bytes(&std::fs::read(maps()).unwrap()).unwrap();
        let map = vec![0; layout.map_len()];
        let mut verdict = Liar(|_| ()).certify(&layout, &map, Job::Sum).unwrap();
        verdict.certified = true;
        Reply::Verdict {
            number,
            ticks: 0,
            verdict: Answer::new(&verdict),
        }
    }
    let excuse: Excuse = |reply, _| match reply {
        Reply::Refused { number, .. } => Some(certified(number.unwrap_or(1))),
        _ => None,
    };
    for kind in ["flip", "cut", "repeat", "swap"] {
        assert!(INJECT.contains(&kind));
        let damage = ["--inject", kind, "--every", "4"];
        let (status, said) = met(|_| (), excuse, &damage);
        assert_eq!(status, Some(1), "{kind}: {said}");
    }
}

/// Even the right verdict is one too many where the message came twice.
#[test]
fn a_verdict_on_a_repeated_message_is_an_error() {
    let excuse: Excuse = |reply, before| match reply {
        Reply::Refused { .. } => before,
        _ => None,
    };
    let (status, said) = met(|_| (), excuse, &["--inject", "repeat", "--every", "4"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("unearned") && !said.contains("wrong"),
        "{said}"
    );
}
