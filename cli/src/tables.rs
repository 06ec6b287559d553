//! How tables look.

use comfy_table::{CellAlignment, Row, Table, presets::UTF8_BORDERS_ONLY};

/// An empty table with these headings.
pub fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_header(Row::from(headings));
    table
}

/// Aligns all columns but the first to the right: numbers.
pub fn numbers(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
