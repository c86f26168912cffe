//! Finds reasons to doubt a verdict: its neighbours are far, another answer is nearly as good, the methods disagree, or
//! the photo shows too little.

use bridgeclip_domain::{Category, CategoryVerdict, PhotoQuality, SecondLook};

use super::Answers;

/// The circumstances in which a verdict was reached.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Similarity of the nearest neighbour. None if there are no neighbours.
    pub nearest: Option<f32>,
    /// Similarity below which neighbours count as far. None if it was not fitted.
    pub far_below: Option<f32>,
    /// The answers of the verdict.
    pub answers: &'a Answers,
    /// Lead up to which an answer is nearly tied, in the order of [`Category::ALL`]. None if it is unknown.
    pub near_tie: Option<[f32; 4]>,
    /// The answers of the k-NN vote and of the linear heads. None without linear heads.
    pub knn_and_linear: Option<(&'a Answers, &'a Answers)>,
    /// Quality of the photo. None if it is unknown.
    pub quality: Option<&'a PhotoQuality>,
}

/// Returns the reasons for a second look, in the order of [`SecondLook::ALL`].
pub fn second_look(verdict: &Circumstances) -> Vec<SecondLook> {
    let is_far = match (verdict.nearest, verdict.far_below) {
        (None, _) => true,
        (Some(nearest), Some(far_below)) => nearest < far_below,
        (Some(_), None) => false,
    };
    let holds = |reason: &SecondLook| match reason {
        SecondLook::FarNeighbours => is_far,
        SecondLook::NearTie => verdict.near_tie.is_some_and(|limits| is_near_tie(verdict.answers, limits)),
        SecondLook::MethodsDisagree => verdict.knn_and_linear.is_some_and(|(knn, linear)| disagree(knn, linear)),
        SecondLook::Blurred => verdict.quality.is_some_and(is_blurred),
        SecondLook::TooDark => verdict.quality.is_some_and(is_too_dark),
        SecondLook::TooBright => verdict.quality.is_some_and(is_too_bright),
        SecondLook::OtherClass => answers_other(verdict.answers),
    };
    SecondLook::ALL.into_iter().filter(holds).collect()
}

fn is_near_tie(answers: &Answers, limits: [f32; 4]) -> bool {
    answers.iter().zip(limits).any(|(answer, limit)| !answer.verdict.classes.is_empty() && answer.lead <= limit)
}

/// Reports whether two methods disagree in a category. In a single-label category they disagree if they answer
/// different classes. In a multi-label category they disagree if they have no class in common; an additional class is
/// no disagreement.
fn disagree(knn: &Answers, linear: &Answers) -> bool {
    let apart = |a: &CategoryVerdict, b: &CategoryVerdict| {
        let shared = |class: &bridgeclip_domain::ScoredClass| b.classes.iter().any(|other| other.index == class.index);
        !a.classes.is_empty() && !b.classes.is_empty() && !a.classes.iter().any(shared)
    };
    knn.iter().zip(linear).any(|(knn, linear)| apart(&knn.verdict, &linear.verdict))
}

fn answers_other(answers: &Answers) -> bool {
    let is_other = |category: Category| answers[category as usize].verdict.names(category).any(|name| name == "other");
    Category::ALL.into_iter().any(is_other)
}

/// Sharpness below which a photo shows no fine detail. It was measured at a short side of 448 pixels on photographs of
/// objects and on sample pictures of this project. Sharp pictures have 26 to 3,100, and a blur with a standard
/// deviation of two pixels leaves 5 to 14.
const SHARPNESS_MIN: f32 = 10.0;
/// Range of mean luma in which details of the subject are visible. The photos used for the sharpness limit have 0.26 to
/// 0.57.
const BRIGHTNESS: std::ops::RangeInclusive<f32> = 0.12..=0.88;
/// Share of pixels without information above which a photo is too dark or too bright: more than half of it is lost.
const LOST_SHARE_MAX: f32 = 0.5;

fn is_blurred(quality: &PhotoQuality) -> bool {
    quality.sharpness < SHARPNESS_MIN
}

fn is_too_dark(quality: &PhotoQuality) -> bool {
    quality.brightness < *BRIGHTNESS.start() || quality.black_share > LOST_SHARE_MAX
}

fn is_too_bright(quality: &PhotoQuality) -> bool {
    quality.brightness > *BRIGHTNESS.end() || quality.white_share > LOST_SHARE_MAX
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::Scores;

    use super::*;
    use crate::classify::{linear_answers, published_vote};

    const GOOD: PhotoQuality = PhotoQuality {
        sharpness: 200.0,
        brightness: 0.5,
        black_share: 0.1,
        white_share: 0.1,
        millimetres_per_pixel: None,
    };

    /// Returns answers with the class at `index` in every category, with a lead of 0.4.
    fn answers(index: usize) -> Answers {
        linear_answers(&Scores::new(|category| {
            let mut scores = vec![0.0; category.classes().len()];
            scores[index % category.classes().len()] = 0.7;
            scores[(index + 1) % category.classes().len()] = 0.3;
            scores
        }))
    }

    fn plain(answers: &Answers) -> Circumstances<'_> {
        Circumstances {
            nearest: Some(0.9),
            far_below: Some(0.6),
            answers,
            near_tie: Some([0.2; 4]),
            knn_and_linear: None,
            quality: Some(&GOOD),
        }
    }

    #[test]
    fn each_reason_is_given_where_it_holds() {
        let (first, second, other) = (answers(0), answers(1), answers(14));
        let cases: [(Circumstances, &[SecondLook]); 10] = [
            (plain(&first), &[]),
            (Circumstances { nearest: Some(0.5), ..plain(&first) }, &[SecondLook::FarNeighbours]),
            (Circumstances { nearest: None, ..plain(&first) }, &[SecondLook::FarNeighbours]),
            (Circumstances { nearest: Some(0.5), far_below: None, ..plain(&first) }, &[]),
            (Circumstances { near_tie: Some([0.2, 0.5, 0.0, 0.0]), ..plain(&first) }, &[SecondLook::NearTie]),
            (Circumstances { near_tie: None, ..plain(&first) }, &[]),
            (
                Circumstances { knn_and_linear: Some((&first, &second)), ..plain(&first) },
                &[SecondLook::MethodsDisagree],
            ),
            (Circumstances { knn_and_linear: Some((&first, &first)), ..plain(&first) }, &[]),
            (plain(&other), &[SecondLook::OtherClass]),
            (Circumstances { quality: None, ..plain(&first) }, &[]),
        ];
        for (index, (circumstances, expected)) in cases.iter().enumerate() {
            assert_eq!(second_look(circumstances), *expected, "case {index}");
        }
    }

    #[test]
    fn nothing_is_nearly_tied_and_nothing_disagrees_where_there_is_no_answer() {
        let none = published_vote(&[]);
        let with = Circumstances { knn_and_linear: Some((&none, &answers(0))), ..plain(&none) };
        assert_eq!(second_look(&with), []);
    }

    #[test]
    fn photos_that_show_too_little() {
        let cases = [
            (PhotoQuality { sharpness: 9.0, ..GOOD }, SecondLook::Blurred),
            (PhotoQuality { brightness: 0.1, ..GOOD }, SecondLook::TooDark),
            (PhotoQuality { black_share: 0.6, ..GOOD }, SecondLook::TooDark),
            (PhotoQuality { brightness: 0.9, ..GOOD }, SecondLook::TooBright),
            (PhotoQuality { white_share: 0.6, ..GOOD }, SecondLook::TooBright),
        ];
        let answers = answers(0);
        for (quality, expected) in cases {
            assert_eq!(second_look(&Circumstances { quality: Some(&quality), ..plain(&answers) }), [expected]);
        }
    }
}
