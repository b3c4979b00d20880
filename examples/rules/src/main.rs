//! A rule engine: user-supplied filters over JSON log records.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use skep::abi::{ArgKind, MemAccess, ReturnRange};
use skep::{Limits, Record, Vm};

skep::context! {
    /// What a filter sees of a record.
    pub struct Line "record" { level: u32, status: u32, latency_us: u64, record: u64 }
}

/// Longest name that filters compare.
const NAME: usize = 64;

/// The lines, and the service of each.
type Records = (Vec<Line>, Vec<String>);

fn parse(text: &str) -> Result<Records, serde_json::Error> {
    let (mut lines, mut services) = (Vec::new(), Vec::new());
    for (record, line) in text.lines().filter(|l| !l.trim().is_empty()).enumerate() {
        let json: Value = serde_json::from_str(line)?;
        let number = |key: &str| json[key].as_u64().unwrap_or(0);
        let small = |key: &str| u32::try_from(number(key)).unwrap_or(u32::MAX);
        let (level, status) = (small("level"), small("status"));
        lines.push(Line { level, status, latency_us: number("latency_us"), record: record as u64 });
        services.push(json["service"].as_str().unwrap_or("").to_owned());
    }
    Ok((lines, services))
}

/// A machine whose filters may ask for the service of a record.
fn machine(services: Vec<String>) -> Result<Vm, skep::Error> {
    let services = Arc::new(services);
    let args = [ArgKind::Anything, ArgKind::Mem(MemAccess::Read), ArgKind::Size];
    Vm::builder()
        .helper("service_is", &args, move |call| {
            let (mut name, len) = ([0; NAME], call.arg(2) as usize);
            let Some(name) = name.get_mut(..len) else { return Ok(0) };
            call.read(call.arg(1), name)?;
            let service = usize::try_from(call.arg(0)).ok().and_then(|at| services.get(at));
            Ok(service.is_some_and(|s| s.as_bytes() == name).into())
        })
        .program_type("rule", Line::CONTEXT, ReturnRange::Within(0, 1))
        .build()
}

/// As many records as a log might have, no two alike.
fn generated(count: usize) -> String {
    let services = ["shop", "mail", "search", "billing"];
    let statuses = [200, 200, 200, 204, 301, 404, 500, 503];
    let mut random = 1u64;
    let mut below = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % n
    };
    let mut text = String::new();
    for id in 0..count {
        let (level, latency) = (below(8), below(20_000));
        let (status, service) = (statuses[below(8) as usize], services[below(4) as usize]);
        text += &format!(
            "{{\"id\":{id},\"level\":{level},\"status\":{status},\"latency_us\":{latency},\"service\":\"{service}\"}}\n"
        );
    }
    text
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(filter), Some(records)) = (args.next(), args.next()) else {
        return Err("usage: rules FILTER.s RECORDS.jsonl|COUNT [ROUNDS]".into());
    };
    let rounds: u32 = args.next().map_or(Ok(1), |n| n.parse())?;
    let text = match records.parse() {
        Ok(count) => generated(count),
        Err(_) => std::fs::read_to_string(records)?,
    };
    let (lines, services) = parse(&text)?;
    let vm = machine(services)?;
    let loaded = match vm.parse(&filter, &std::fs::read(&filter)?)?.load(vm.backend()) {
        Ok(loaded) => loaded,
        Err(why) => {
            println!("refused: {why}");
            return Ok(());
        }
    };
    let rule = loaded.programs().first().ok_or("the filter has no program")?;
    let limits = Limits { fuel: None, time: Some(Duration::from_secs(1)) };
    let mut image = [0; Line::CONTEXT.size as usize];
    let (start, mut matches) = (Instant::now(), 0);
    for _ in 0..rounds {
        for line in &lines {
            line.write(&mut image);
            matches += rule.run(&mut image, limits)?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let runs = lines.len() as f64 * f64::from(rounds);
    println!("{runs} records, {matches} matches, {:.2} M records/s", runs / seconds / 1e6);
    for level in 0..8u32 {
        if let Some(hits) = loaded.map("hits").and_then(|m| m.get::<u32, u64>(&level).ok().flatten()) {
            println!("level {level}: {hits}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../sample.jsonl");

    /// What the filter gives for each record, and how many of level 4 it counts.
    fn run(text: &str) -> (Vec<u64>, u64) {
        let (lines, services) = parse(text).expect("JSON");
        let vm = machine(services).expect("one helper");
        let object = vm.parse("slow.s", include_bytes!("../slow.s")).expect("assembles");
        let loaded = object.load(vm.backend()).expect("accepted");
        let mut image = [0; Line::CONTEXT.size as usize];
        let mut matches = |line: &Line| {
            line.write(&mut image);
            loaded.programs()[0].run(&mut image, Limits::default()).expect("runs")
        };
        let matched = lines.iter().map(&mut matches).collect();
        (matched, loaded.map("hits").expect("there").get::<u32, u64>(&4).expect("reads").unwrap_or(0))
    }

    #[test]
    fn the_sample_has_two_matches() {
        assert_eq!(run(SAMPLE), (vec![1, 0, 1, 0], 1));
    }

    #[test]
    fn the_filter_matches_what_it_says() {
        let text = generated(1000);
        let (lines, services) = parse(&text).expect("JSON");
        let matches =
            |l: &Line| services[l.record as usize] == "shop" && (l.status >= 500 || l.latency_us > 10_000);
        let expected: Vec<u64> = lines.iter().map(|l| matches(l).into()).collect();
        let hits = lines.iter().filter(|l| l.level == 4 && matches(l)).count() as u64;
        assert!(hits > 0);
        assert_eq!(run(&text), (expected, hits));
    }

    #[test]
    fn hostile_filters_are_refused() {
        let vm = machine(Vec::new()).expect("one helper");
        for text in [
            "bad: goto bad\n",
            "bad: r0 = *(u64 *)(r1 + 4096)\nexit\n",
            "bad: call bpf_skb_load_bytes\nexit\n",
            "bad: r2 = 8\nr3 = 8\ncall service_is\nexit\n",
            "bad: r0 = 7\nexit\n",
        ] {
            let object = vm.parse("bad.s", format!(".section rule\n{text}").as_bytes()).expect("assembles");
            assert!(object.load(vm.backend()).expect_err(text).is_rejected(), "{text}");
        }
    }
}
