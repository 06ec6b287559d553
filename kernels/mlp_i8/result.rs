//! What a renter reads out of a whole result, whose samples lie group by group and stage by stage.

use super::{ANSWER_BYTES, Output, Params, SUM_BYTES};

/// The sums of layer `layer`, sample by sample; those of the last layer are the logits. `None` when there is no such
/// layer, or `result` is not the bytes of all leaves of a job with these params.
pub fn sums(params: &Params, result: &[u8], layer: usize) -> Option<Vec<i32>> {
    params.layer(layer)?;
    let bytes = stage(params, result, layer)?;
    Some(bytes.as_chunks::<{ SUM_BYTES as usize }>().0.iter().map(|sum| i32::from_le_bytes(*sum)).collect())
}

/// The number of the largest logit of each sample; `None` where the job does not answer it, and as in [`sums`].
pub fn answers(params: &Params, result: &[u8]) -> Option<Vec<u16>> {
    if params.output != Output::Argmax {
        return None;
    }
    let bytes = stage(params, result, params.layers().len())?;
    Some(bytes.as_chunks::<{ ANSWER_BYTES as usize }>().0.iter().map(|n| u16::from_le_bytes(*n)).collect())
}

/// The cells of one stage, sample by sample.
fn stage(params: &Params, result: &[u8], stage: usize) -> Option<Vec<u8>> {
    let (mut cells, mut rest) = (Vec::new(), result);
    for class in params.classes() {
        let bytes = params.cells(class.group, class.stage).checked_mul(u64::from(params.cell_bytes(class.stage)))?;
        let (own, behind) = rest.split_at_checked(usize::try_from(bytes).ok()?)?;
        if class.stage == stage {
            cells.extend_from_slice(own);
        }
        rest = behind;
    }
    rest.is_empty().then_some(cells)
}
