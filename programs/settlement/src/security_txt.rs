//! security.txt in the program's bytes, where explorers and finders of holes look for it (the format of the
//! `solana-security-txt` crate: marks around fields that end with zero bytes).

/// Where to report: set by who deploys, when it builds the program.
const CONTACT: &str = match option_env!("ASSAY_SECURITY_CONTACT") {
    Some(contact) => contact,
    None => "other:no contact was given when this was built",
};
/// The project's page, likewise.
const PROJECT_URL: &str = match option_env!("ASSAY_PROJECT_URL") {
    Some(url) => url,
    None => "none was given when this was built",
};

const PARTS: [&str; 16] = [
    "=======BEGIN SECURITY.TXT V1=======\0",
    "name\0",
    "Assay settlement\0",
    "project_url\0",
    PROJECT_URL,
    "\0contacts\0",
    CONTACT,
    "\0policy\0",
    "docs/security.md in the source repository\0",
    "preferred_languages\0",
    "en\0",
    "source_release\0",
    env!("CARGO_PKG_VERSION"),
    "\0auditors\0",
    "none\0",
    "=======END SECURITY.TXT V1=======\0",
];

const LEN: usize = {
    let (mut len, mut part) = (0usize, 0usize);
    while part < PARTS.len() {
        len = len.wrapping_add(PARTS[part].len());
        part = part.wrapping_add(1);
    }
    len
};

const TEXT: [u8; LEN] = {
    let (mut text, mut at, mut part) = ([0u8; LEN], 0usize, 0usize);
    while part < PARTS.len() {
        let (bytes, mut i) = (PARTS[part].as_bytes(), 0usize);
        while i < bytes.len() {
            text[at] = bytes[i];
            (at, i) = (at.wrapping_add(1), i.wrapping_add(1));
        }
        part = part.wrapping_add(1);
    }
    text
};

/// The text.
#[used]
#[unsafe(no_mangle)]
pub static SECURITY_TXT: [u8; LEN] = TEXT;
