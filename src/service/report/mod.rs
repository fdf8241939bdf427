//! Writes what happened during a call as the `tributary.Report` of its reply.
//!
//! The report is written straight to bytes: it has about a hundred small fields, and building a value for each would cost
//! more than the rest of the reply. Which field goes where is decided once, at start ([`ReportLayout`]). Between two calls,
//! a lookup that succeeded, as nearly all do, differs only in its times. In the binary protocols, where times have a fixed
//! length, everything else is copied from a [`ReportTemplate`]. [`Timeline::from_report`] reads reports.

mod fields;
mod layout;
mod template;

use std::cell::RefCell;
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
    /// By [`Plan::index`]; none if the IDL of its service does not include the standard types.
    templates: Vec<Option<ReportTemplate>>,
    /// That of the last report, for its memory.
    analysis: RefCell<Analysis>,
}

impl ReportWriter {
    pub(super) fn new(program: &Program) -> Self {
        let layouts = program.services.iter();
        let layouts: Vec<_> = layouts.map(|of| ReportLayout::of(&of.schema)).collect();
        let mut templates = Vec::new();
        templates.resize_with(program.plans().count(), || None);
        for plan in program.plans() {
            if let Some(layout) = &layouts[plan.service] {
                templates[plan.index] = Some(ReportTemplate::new(layout, &plan.lanes));
            }
        }
        ReportWriter {
            layouts,
            templates,
            analysis: RefCell::default(),
        }
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
            template: self.templates[plan.index].as_ref(),
            protocol,
            timeline,
            analysis: &self.analysis,
        })
    }
}

/// The report of one call, which is written at the end of its reply.
pub(super) struct Report<'a> {
    pub(super) layout: &'a ReportLayout,
    pub(super) template: Option<&'a ReportTemplate>,
    pub(super) protocol: Protocol,
    pub(super) timeline: &'a Timeline,
    pub(super) analysis: &'a RefCell<Analysis>,
}

impl Appendix for Report<'_> {
    fn append(&self, out: &mut BytesMut) {
        let mut analysis = self.analysis.borrow_mut();
        analysis.renew(self.timeline);
        let fields = Fields {
            layout: self.layout,
            timeline: self.timeline,
            analysis: &analysis,
        };
        with_codec!(self.protocol, C => {
            // No template says how many endpoints were asked.
            let of_plan = self.template.filter(|_| !self.timeline.asked_again());
            fields.report(&mut C::writer(out), |out| {
                let (tracks, slack) = (&self.timeline.tracks, &analysis.slack);
                let template = out.binary_buffer().zip(of_plan);
                if template.is_some_and(|(out, template)| template.fill(out, tracks, slack)) {
                    return;
                }
                for (at, of_lookup) in tracks.iter().zip(slack.iter().copied()).enumerate() {
                    let template = out.binary_buffer().zip(of_plan);
                    let fill = |(out, template): (_, &ReportTemplate)| template.fill_one(out, at, of_lookup);
                    if !template.is_some_and(fill) {
                        fields.lookup(out, at);
                    }
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
