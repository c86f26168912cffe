//! A [`Layer`] as an operator of tract.

use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;

use super::{Attention, Layer, LayerNorm, Linear, Matrix, TokenEmbedding};

/// A fused layer in a plan. Two operators are equal if they share one layer.
#[derive(Clone, Debug)]
pub struct FusedOperator(pub Arc<Layer>);

impl PartialEq for FusedOperator {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FusedOperator {}

impl FusedOperator {
    /// Returns the shape of the output for inputs of these shapes. Fails if the inputs do not fit the layer.
    fn output_shape(&self, inputs: &[TVec<usize>]) -> TractResult<TVec<usize>> {
        match (&*self.0, inputs) {
            (Layer::Linear(linear), [x, rest @ ..]) => {
                ensure!(x.len() == 2 && x[1] == linear.depth(), "input {x:?} of a layer for {} values", linear.depth());
                let output = tvec!(x[0], linear.outputs());
                ensure!(rest.len() <= 1 && rest.iter().all(|sum| *sum == output), "{rest:?} to add to {output:?}");
                Ok(output)
            }
            (Layer::LayerNorm(norm), [x]) => {
                ensure!(x.len() == 2 && x[1] == norm.width(), "input {x:?} of a layer norm for {}", norm.width());
                Ok(x.clone())
            }
            (Layer::Attention(attention), [qkv]) => {
                let parts = 3 * attention.heads;
                ensure!(qkv.len() == 2 && qkv[1] > 0 && qkv[1].is_multiple_of(parts), "input {qkv:?} of attention");
                Ok(tvec!(qkv[0], qkv[1] / 3))
            }
            (Layer::Attention(attention), [queries, kv]) => {
                ensure!(!attention.causal, "a causal attention knows no token's place without all queries");
                ensure!(queries.len() == 2 && queries[1] > 0 && queries[1].is_multiple_of(attention.heads));
                ensure!(kv.len() == 2 && kv[1] == 2 * queries[1], "queries {queries:?} and keys and values {kv:?}");
                Ok(queries.clone())
            }
            (Layer::TokenEmbedding(embedding), [tokens]) => {
                ensure!(tokens.len() == 2 && tokens[0] == 1, "input {tokens:?} of a token embedding");
                Ok(tvec!(tokens[1], embedding.width))
            }
            (_, inputs) => bail!("{} with {} inputs", self.name(), inputs.len()),
        }
    }
}

impl Op for FusedOperator {
    fn name(&self) -> StaticName {
        match *self.0 {
            Layer::Linear(_) => "FusedLinear".into(),
            Layer::LayerNorm(_) => "FusedLayerNorm".into(),
            Layer::Attention(_) => "FusedAttention".into(),
            Layer::TokenEmbedding(_) => "FusedTokenEmbedding".into(),
        }
    }

    op_as_typed_op!();
}

impl TypedOp for FusedOperator {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = |fact: &&TypedFact| {
            let shape = fact.shape.as_concrete().context("a fused layer wants a fixed shape")?;
            Ok(TVec::from_slice(shape))
        };
        let shapes = inputs.iter().map(shape).collect::<TractResult<Vec<_>>>()?;
        let input_type = match *self.0 {
            Layer::TokenEmbedding(_) => i64::datum_type(),
            _ => f32::datum_type(),
        };
        ensure!(inputs.iter().all(|fact| fact.datum_type == input_type), "{} wants {input_type:?}", self.name());
        Ok(tvec!(f32::fact(&*self.output_shape(&shapes)?)))
    }

    fn cost(&self, inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let rows = inputs[0].shape[0].clone();
        Ok(match &*self.0 {
            Layer::Linear(linear) => {
                let weights = match linear.matrix {
                    Matrix::Int8 { .. } => i8::datum_type(),
                    Matrix::Float(_) => f32::datum_type(),
                };
                tvec!((Cost::FMA(weights), rows * linear.depth() * linear.outputs()))
            }
            // Each query meets each token twice: in the scores and in the context.
            Layer::Attention(_) => {
                let (tokens, width) = match inputs {
                    [_, kv] => (&kv.shape[0], kv.shape[1].clone() / 2),
                    _ => (&inputs[0].shape[0], inputs[0].shape[1].clone() / 3),
                };
                tvec!((Cost::FMA(f32::datum_type()), rows * tokens * width * 2))
            }
            Layer::LayerNorm(_) | Layer::TokenEmbedding(_) => tvec!(),
        })
    }

    as_op!();
}

impl EvalOp for FusedOperator {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let shapes: Vec<TVec<usize>> = inputs.iter().map(|input| input.shape().into()).collect();
        let shape = self.output_shape(&shapes)?;
        let output = match &*self.0 {
            Layer::Linear(linear) => eval_linear(linear, &shape, inputs)?,
            Layer::LayerNorm(norm) => eval_layer_norm(norm, inputs)?,
            Layer::Attention(attention) => eval_attention(attention, &shape, &inputs)?,
            Layer::TokenEmbedding(embedding) => eval_token_embedding(embedding, &shape, &inputs)?,
        };
        Ok(tvec!(output.into()))
    }
}

/// Runs a linear layer. A second input is what the result is added to, usually in place because no other node needs it.
fn eval_linear(linear: &Linear, shape: &[usize], mut inputs: TVec<TValue>) -> TractResult<Tensor> {
    let sum = (inputs.len() == 2).then(|| inputs.remove(1).into_tensor());
    let accumulate = sum.is_some();
    let mut output = sum.map_or_else(|| Tensor::zero::<f32>(shape), Ok)?;
    let x = inputs[0].view();
    linear.apply(x.as_slice()?, accumulate, output.view_mut().as_slice_mut()?);
    Ok(output)
}

fn eval_layer_norm(norm: &LayerNorm, mut inputs: TVec<TValue>) -> TractResult<Tensor> {
    let mut values = inputs.remove(0).into_tensor();
    norm.apply(values.view_mut().as_slice_mut()?);
    Ok(values)
}

fn eval_attention(attention: &Attention, shape: &[usize], inputs: &[TValue]) -> TractResult<Tensor> {
    let mut output = Tensor::zero::<f32>(shape)?;
    let (first, width) = (inputs[0].view(), shape[1]);
    let mut view = output.view_mut();
    match inputs.get(1) {
        None => attention.apply(first.as_slice()?, width, view.as_slice_mut()?),
        Some(kv) => attention.apply_to(first.as_slice()?, kv.view().as_slice()?, width, view.as_slice_mut()?),
    }
    Ok(output)
}

fn eval_token_embedding(embedding: &TokenEmbedding, shape: &[usize], inputs: &[TValue]) -> TractResult<Tensor> {
    let tokens = inputs[0].view();
    let mut values = Vec::with_capacity(shape.iter().product());
    for &token in tokens.as_slice::<i64>()? {
        values.extend(embedding.row(token).with_context(|| format!("token {token} is not in the vocabulary"))?);
    }
    Tensor::from_shape(shape, &values)
}

impl InferenceRulesOp for FusedOperator {
    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].datum_type, f32::datum_type())?;
        solver.given_all(inputs.iter().map(|input| &input.shape), move |solver, shapes| {
            let concrete = |shape: TVec<TDim>| shape.iter().map(|dim| Ok(dim.to_usize()?)).collect();
            let shapes = shapes.into_iter().map(concrete).collect::<TractResult<Vec<TVec<usize>>>>()?;
            let shape: TVec<TDim> = self.output_shape(&shapes)?.into_iter().map(TDim::from).collect();
            solver.equals(&outputs[0].shape, shape)
        })
    }

    as_op!();
    to_typed!();
}
