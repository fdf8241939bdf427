//! Writes what happened during a call as the `tributary.Report` of its reply.
//!
//! The report is written straight to bytes: it has about a hundred small fields, and building a value for each would cost
//! more than the rest of the reply. Which field goes where is decided once, at start ([`ReportLayout`]). Between two calls,
//! a lookup that succeeded, as nearly all do, differs only in its times. In the binary protocols, where times have a fixed
//! length, everything else is copied from a [`ReportTemplate`]. [`Timeline::from_report`] reads reports.

mod fields;
mod layout;
mod template;

use std::fmt;

use bytes::BytesMut;

use crate::plan::Plan;
use crate::program::Program;
use crate::thrift::{Appendix, Codec as _, Protocol, ProtocolWriter as _, with_codec};
use crate::timeline::{Analysis, Timeline};
use fields::Fields;
pub(super) use layout::ReportLayout;
pub(super) use template::ReportTemplate;

/// Writes the reports of one program.
pub(super) struct ReportWriter {
    /// One per service; `None` if its IDL does not include the standard types.
    layouts: Vec<Option<ReportLayout>>,
    /// One per lookup of a plan, by [`Plan::index`].
    templates: Vec<Vec<ReportTemplate>>,
}

impl ReportWriter {
    pub(super) fn new(program: &Program) -> Self {
        let layouts = program.services.iter();
        let layouts: Vec<_> = layouts.map(|of| ReportLayout::of(&of.schema)).collect();
        let mut templates = Vec::new();
        templates.resize_with(program.plans().count(), Vec::new);
        for plan in program.plans() {
            if let Some(layout) = &layouts[plan.service] {
                templates[plan.index] = ReportTemplate::of_plan(layout, plan);
            }
        }
        ReportWriter { layouts, templates }
    }

    /// The report of a call of `plan`.
    pub(super) fn report<'a>(
        &'a self,
        plan: &Plan,
        protocol: Protocol,
        timeline: &'a Timeline,
    ) -> Option<Report<'a>> {
        Some(Report {
            layout: self.layouts[plan.service].as_ref()?,
            templates: &self.templates[plan.index],
            protocol,
            timeline,
        })
    }
}

/// The report of one call, which is written at the end of its reply.
pub(super) struct Report<'a> {
    pub(super) layout: &'a ReportLayout,
    /// One per lookup, or none.
    pub(super) templates: &'a [ReportTemplate],
    pub(super) protocol: Protocol,
    pub(super) timeline: &'a Timeline,
}

impl Appendix for Report<'_> {
    fn append(&self, out: &mut BytesMut) {
        let analysis = Analysis::of(self.timeline);
        let fields = Fields {
            layout: self.layout,
            timeline: self.timeline,
            analysis: &analysis,
        };
        with_codec!(self.protocol, C => {
            fields.report(&mut C::writer(out), |out, at| {
                let (track, slack) = (&self.timeline.tracks[at], analysis.slack[at]);
                let template = self.templates.get(at);
                let fill = |out| template.is_some_and(|template| template.fill(out, track, slack));
                if !out.binary_buffer().is_some_and(fill) {
                    fields.lookup(out, at);
                }
            });
        });
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Report").field(self.timeline).finish()
    }
}

#[cfg(test)]
mod tests;
