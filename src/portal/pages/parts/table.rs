//! Tables that become cards where there is no room for columns.

use maud::{Markup, html};

/// A table; `caption` names it for screen readers, `columns` label its cells. The first cell of a row is its heading.
/// A column without a label holds what one can do with the row. Explicit roles keep it a table when it is laid out as cards.
pub(in crate::portal) fn table(caption: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    html! {
        div .scroll {
            table role="table" {
                caption .unseen { (caption) }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in columns {
                            th role="columnheader" scope="col" {
                                @if column.is_empty() { span .unseen { "Actions" } } @else { (column) }
                            }
                        }
                    }
                }
                tbody role="rowgroup" { @for row in rows { (cells(columns, row)) } }
            }
        }
    }
}

fn cells(columns: &[&str], row: Vec<Markup>) -> Markup {
    html! {
        tr role="row" {
            @for (index, (column, cell)) in columns.iter().zip(row).enumerate() {
                @if index == 0 { th role="rowheader" scope="row" data-label=(column) { (cell) } }
                @else if column.is_empty() { td .actions role="cell" { (cell) } }
                // one box, or as a card its parts would be laid out beside each other
                @else { td role="cell" data-label=(column) { div { (cell) } } }
            }
        }
    }
}
