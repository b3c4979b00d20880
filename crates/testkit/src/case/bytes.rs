//! Bytes as file tests write them.

/// Reads bytes: hex digits (`00ff10`), or 64-bit words in brackets (`[1,0xff]`, little-endian), or a count of
/// zero bytes (`zeros:64`), joined by `+`.
///
/// # Errors
/// Words that name what cannot be read.
pub fn parse_bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for part in text.split('+').filter(|p| !p.is_empty()) {
        if let Some(words) = part.strip_prefix('[').and_then(|p| p.strip_suffix(']')) {
            for word in words.split(',').map(str::trim).filter(|w| !w.is_empty()) {
                out.extend(parse_word(word)?.to_le_bytes());
            }
        } else if let Some(n) = part.strip_prefix("zeros:") {
            let n: usize = n.parse().map_err(|_| format!("`{part}` is no count of zero bytes"))?;
            out.resize(out.len() + n, 0);
        } else {
            let digits = part.as_bytes();
            if !digits.len().is_multiple_of(2) {
                return Err(format!("`{part}` has an odd number of hex digits"));
            }
            for pair in digits.chunks(2) {
                let byte = std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
                out.push(byte.ok_or_else(|| format!("`{part}` is not hexadecimal"))?);
            }
        }
    }
    Ok(out)
}

/// Reads a number of up to 64 bits, decimal or hexadecimal, with an optional sign.
pub(super) fn parse_word(text: &str) -> Result<u64, String> {
    let (minus, digits) = text.strip_prefix('-').map_or((false, text), |d| (true, d));
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let number = number.map_err(|_| format!("`{text}` is no number of 64 bits"))?;
    Ok(if minus { number.wrapping_neg() } else { number })
}

/// Writes bytes: as words where there are whole ones, with zeros at the end counted.
pub fn show_bytes(bytes: &[u8]) -> String {
    let used = bytes.iter().rposition(|&b| b != 0).map_or(0, |i| i + 1);
    let mut parts = Vec::new();
    let rest = if bytes.len().is_multiple_of(8) {
        let words = used.div_ceil(8);
        if words > 0 {
            let word = |c: &[u8]| u64::from_le_bytes(c.try_into().expect("chunks of 8 bytes"));
            let shown: Vec<_> = bytes[..words * 8].chunks(8).map(|c| format!("{:#x}", word(c))).collect();
            parts.push(format!("[{}]", shown.join(",")));
        }
        bytes.len() - words * 8
    } else if bytes.len() - used >= 16 {
        parts.extend((used > 0).then(|| hex(&bytes[..used])));
        bytes.len() - used
    } else {
        parts.push(hex(bytes));
        0
    };
    if rest > 0 {
        parts.push(format!("zeros:{rest}"));
    }
    parts.join("+")
}

/// Hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_a_round_trip() {
        let long = [vec![0u8; 5], vec![1; 30], vec![0; 100]].concat();
        for bytes in [vec![], vec![0], vec![1, 2, 3], vec![0; 64], vec![1; 64], long] {
            assert_eq!(parse_bytes(&show_bytes(&bytes)), Ok(bytes.clone()), "{}", show_bytes(&bytes));
        }
    }

    #[test]
    fn forms() {
        assert_eq!(parse_bytes("0aff"), Ok(vec![10, 255]));
        assert_eq!(parse_bytes("[1,-1]+zeros:2").unwrap().len(), 18);
        assert_eq!(show_bytes(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "[0x1]+zeros:8");
        for bad in ["0", "xy", "[z]", "zeros:x"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
