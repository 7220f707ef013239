//! Joins the rows of two systems, cell by cell: how many times faster one is than the other, on average and at worst.
//!
//! `cargo bench --bench compare -- OURS.json PEER.json`

#[path = "support/row.rs"]
#[expect(dead_code, reason = "shared with the benchmarks that write rows")]
mod row;
#[path = "support/statistics.rs"]
mod statistics;
#[path = "support/table.rs"]
#[expect(dead_code, reason = "shared with the benchmarks that show their progress")]
mod table;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::ValueExt;

use row::Row;
use statistics::geometric_mean;
use table::{Table, digits, print};

const HELP: &str = "compare OURS.json [PEER.json] [OPTION...]

Joins rows by shape, operation, dtype, layout and cache, and prints a Markdown table for each peer: medians in us with
their quartiles, and how many times faster ours is; then geometric means, worst cells, and what one side lacks. Without
PEER.json both are in OURS.json. Only times of one device and one run of it compare.

  --ours SYSTEM  our rows: wgpu-batchnorm by default
  --peer SYSTEM  the peer's rows: every other system in its file by default
  --brief        means and worst cells alone
  --help         this text
";

#[derive(Default)]
struct Options {
    files: Vec<PathBuf>,
    ours: Option<String>,
    peer: Option<String>,
    brief: bool,
    help: bool,
}

fn main() -> ExitCode {
    let complain = |text: &str| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let options = match parse() {
        Ok(options) => options,
        Err(error) => {
            complain(&format!("{error}\n\n{HELP}"));
            return ExitCode::from(2);
        }
    };
    // Without files, as in a plain `cargo bench`, there is nothing to compare.
    if options.help || options.files.is_empty() {
        print(HELP);
        return ExitCode::SUCCESS;
    }
    match compare(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Options, lexopt::Error> {
    use lexopt::Arg::{Long, Short, Value};
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(file) if options.files.len() < 2 => options.files.push(file.into()),
            Long("ours") => options.ours = Some(parser.value()?.string()?),
            Long("peer") => options.peer = Some(parser.value()?.string()?),
            Long("brief") => options.brief = true,
            Long("help") | Short('h') => options.help = true,
            // Given by cargo.
            Long("bench") => {}
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

/// The rows of a file.
fn read(path: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| said(&error))?;
    Ok(serde_json::from_str(&text).map_err(|error| said(&error))?)
}

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let ours = options.ours.as_deref().unwrap_or("wgpu-batchnorm");
    let first = read(&options.files[0])?;
    let second = options.files.get(1).map_or(Ok(first.clone()), |path| read(path))?;
    let our_rows = cells(&first, ours);
    if our_rows.is_empty() {
        return Err(format!("{}: no rows of {ours}", options.files[0].display()).into());
    }
    let mut peers: Vec<&str> = second.iter().map(|row| row.system.as_str()).collect();
    peers.sort_unstable();
    peers.dedup();
    peers.retain(|peer| {
        let wanted = options.peer.as_ref().is_none_or(|wanted| wanted == peer);
        *peer != ours && wanted && !cells(&second, peer).is_empty()
    });
    if peers.is_empty() {
        return Err("no rows of a peer".into());
    }
    for peer in peers {
        report(ours, &our_rows, peer, &cells(&second, peer), options.brief);
    }
    Ok(())
}

/// The rows of a system that count: no copies, no strategy that was forced on it, and each cell once.
fn cells<'a>(rows: &'a [Row], system: &str) -> Vec<&'a Row> {
    let mut cells: Vec<&Row> = Vec::new();
    for row in rows.iter().filter(|row| row.system == system) {
        let operation = ["training", "inference", "backward"].contains(&row.operation.as_str());
        if operation && row.chosen != Some(false) && !cells.iter().any(|known| key(known) == key(row)) {
            cells.push(row);
        }
    }
    cells
}

fn key(row: &Row) -> [&str; 5] {
    [&row.shape, &row.operation, &row.dtype, &row.layout, &row.cache]
}

fn name(row: &Row) -> String {
    key(row).join(" ")
}

fn report(ours: &str, our_rows: &[&Row], peer: &str, peer_rows: &[&Row], brief: bool) {
    let joined: Vec<(&Row, &Row)> = our_rows
        .iter()
        .filter_map(|row| Some((*row, *peer_rows.iter().find(|other| key(other) == key(row))?)))
        .collect();
    print(&format!("## {ours} and {peer}\n"));
    for (system, rows) in [(ours, our_rows), (peer, peer_rows)] {
        if let Some(row) = rows.first() {
            print(&format!("{system}: {}, {} {}; {}", row.device, row.backend, row.driver, row.timer));
        }
    }
    if joined.iter().any(|(a, b)| a.device != b.device) {
        print("\n**These are not the same device.**");
    }
    print("");
    if !brief {
        let table = Table::begin([
            ("shape", -15),
            ("operation", -9),
            ("dtype", -5),
            ("layout", -14),
            ("cache", -5),
            (&format!("{ours}, us"), 24),
            (&format!("{peer}, us"), 24),
            ("times faster", 12),
        ]);
        let span = |row: &Row| {
            let [median, q1, q3] = [row.median_us, row.q1_us, row.q3_us].map(digits);
            format!("{median} ({q1} to {q3})")
        };
        for (a, b) in &joined {
            let mut line: Vec<String> = key(a).map(str::to_owned).into();
            line.extend([span(a), span(b), digits(ratio((a, b)))]);
            table.row(line);
        }
        print("");
    }
    means(&joined);
    for (of, here, there) in [(peer, our_rows, peer_rows), (ours, peer_rows, our_rows)] {
        let missing: Vec<String> = here
            .iter()
            .filter(|row| !there.iter().any(|other| key(other) == key(row)))
            .map(|row| name(row))
            .collect();
        if !missing.is_empty() {
            let names = if brief { String::new() } else { format!(": {}", missing.join("; ")) };
            print(&format!("{} cells are missing of {of}{names}\n", missing.len()));
        }
    }
}

/// How many times faster ours is.
fn ratio((ours, peer): (&Row, &Row)) -> f64 {
    peer.median_us / ours.median_us
}

/// Geometric means and worst cells: by operation and state of the cache, and of all.
fn means(joined: &[(&Row, &Row)]) {
    let table = Table::begin([
        ("cells", -30),
        ("number", 6),
        ("times faster, geometric mean", 28),
        ("worst", 5),
        ("worst cell", -40),
    ]);
    let line = |title: String, wanted: &dyn Fn(&Row) -> bool| {
        let found: Vec<(f64, &Row)> = (joined.iter())
            .filter(|(ours, _)| wanted(ours))
            .map(|&(ours, peer)| (ratio((ours, peer)), ours))
            .collect();
        let Some((least, worst)) = found.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { return };
        let mean = geometric_mean(found.iter().map(|(ratio, _)| *ratio));
        table.row(vec![title, found.len().to_string(), digits(mean), digits(*least), name(worst)]);
    };
    for cache in ["cold", "warm"] {
        for operation in ["training", "inference", "backward"] {
            line(format!("{operation}, {cache}"), &|row| row.operation == operation && row.cache == cache);
        }
        for dtype in ["f32", "f16"] {
            for layout in ["channels_first", "channels_last"] {
                line(format!("{dtype}, {layout}, {cache}"), &|row| {
                    row.dtype == dtype && row.layout == layout && row.cache == cache
                });
            }
        }
        line(format!("all, {cache}"), &|row| row.cache == cache);
    }
    line("all".into(), &|_| true);
    print("");
}
