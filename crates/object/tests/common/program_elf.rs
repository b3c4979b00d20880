//! An object of one program, made by hand, so that a section's name can be anything.

/// Appends a section header.
fn header(
    out: &mut Vec<u8>,
    name: u32,
    kind: u32,
    flags: u64,
    at: (usize, usize),
    link: (u32, u32),
    align: (u64, u64),
) {
    for word in [name, kind] {
        out.extend(word.to_le_bytes());
    }
    for long in [flags, 0, at.0 as u64, at.1 as u64] {
        out.extend(long.to_le_bytes());
    }
    for word in [link.0, link.1] {
        out.extend(word.to_le_bytes());
    }
    for long in [align.0, align.1] {
        out.extend(long.to_le_bytes());
    }
}

/// A little-endian object with the function `main` (`r0 = 0; exit`) in a section of this name.
pub fn program_in(section: &str) -> Vec<u8> {
    let mut out = vec![0; 64];
    let mut place = |bytes: &[u8]| {
        let at = (out.len(), bytes.len());
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(8), 0);
        at
    };
    let code = place(&[0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
    let mut symbols = vec![0; 24];
    symbols.extend([1, 0, 0, 0, 0x12, 0, 1, 0]); // a global function of section 1
    symbols.extend([0u64, 16].iter().flat_map(|n| n.to_le_bytes()));
    let symbols = place(&symbols);
    let strings = format!("\0main\0.symtab\0.strtab\0{section}\0");
    let strings = place(strings.as_bytes());
    let table = out.len() as u64;
    header(&mut out, 0, 0, 0, (0, 0), (0, 0), (0, 0));
    header(&mut out, 22, 1, 6, code, (0, 0), (8, 0)); // PROGBITS, ALLOC | EXECINSTR
    header(&mut out, 6, 2, 0, symbols, (3, 1), (8, 24));
    header(&mut out, 14, 3, 0, strings, (0, 0), (1, 0));
    let mut head = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    head.extend([1, 0, 247, 0, 1, 0, 0, 0]); // ET_REL, EM_BPF, EV_CURRENT
    head.extend([0, 0, table].iter().flat_map(|n| n.to_le_bytes()));
    head.extend([0; 4]);
    head.extend([64u16, 0, 0, 64, 4, 3].iter().flat_map(|n| n.to_le_bytes()));
    out[..64].copy_from_slice(&head);
    out
}
