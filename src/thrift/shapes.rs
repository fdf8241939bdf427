//! Which shapes are taken, as a set.

use super::{Protocol, Shape, Transport};

/// A set of shapes. By default all are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shapes(u16);

impl Default for Shapes {
    fn default() -> Self {
        Shapes::ALL
    }
}

impl Shapes {
    /// Every shape there is.
    pub const ALL: Shapes = Shapes(u16::MAX);

    /// Each of these transports with each of these protocols.
    pub fn of(transports: &[Transport], protocols: &[Protocol]) -> Self {
        let mut bits = 0;
        for &transport in transports {
            for &protocol in protocols {
                bits |= bit(Shape {
                    transport,
                    protocol,
                });
            }
        }
        Shapes(bits)
    }

    /// Whether `shape` is in it.
    pub fn has(self, shape: Shape) -> bool {
        self.0 & bit(shape) != 0
    }

    /// Whether any shape with that transport is in it.
    pub fn has_transport(self, transport: Transport) -> bool {
        use Protocol::{Binary, BinaryOld, Compact};
        let has = |protocol| {
            self.has(Shape {
                transport,
                protocol,
            })
        };
        [Binary, BinaryOld, Compact].into_iter().any(has)
    }
}

fn bit(shape: Shape) -> u16 {
    1 << (shape.transport as u16 * 4 + shape.protocol as u16)
}
