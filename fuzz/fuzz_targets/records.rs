#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bagcert_fuzz::records(data));
