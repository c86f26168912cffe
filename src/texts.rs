//! All texts that a person reads outside the command line, in English and Japanese: one table with a key for each.
//!
//! A key without both languages does not compile. Names of classes are in [`crate::domain::Class`].

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::domain::{Category, Class, Draft, FixQuality, PositionSource, SecondLook, TimeQuality, UrgentSign};

/// Language in which people read results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Ja,
}

impl Lang {
    pub const ALL: [Lang; 2] = [Lang::En, Lang::Ja];

    /// Returns the language's tag (BCP 47), as in `<html lang>`.
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Ja => "ja",
        }
    }

    /// Returns the class as an inspector knows it. English texts add the meaning of a code; Japanese inspectors know
    /// it.
    pub fn class(self, class: &Class) -> String {
        match self {
            Lang::Ja => class.ja.to_owned(),
            Lang::En if class.meaning.is_empty() => class.en.to_owned(),
            Lang::En => format!("{} ({})", class.en, class.meaning),
        }
    }

    /// Returns the text of a draft.
    pub fn draft(self, draft: &Draft) -> String {
        match self {
            Lang::Ja => draft.ja(),
            Lang::En => draft.en(),
        }
    }
}

/// Returns all texts of a language as one JSON object, by key.
pub fn json(lang: Lang) -> String {
    struct Table(Lang);
    impl Serialize for Table {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(Text::ALL.len()))?;
            Text::ALL.iter().try_for_each(|text| map.serialize_entry(text, text.say(self.0)))?;
            map.end()
        }
    }
    serde_json::to_string(&Table(lang)).expect("string keys and string values")
}

macro_rules! texts {
    ($($name:ident: $en:literal, $ja:literal;)*) => {
        /// Text that a person reads. Its key in JSON is the name in snake case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Text { $($name),* }

        impl Text {
            pub const ALL: &[Text] = &[$(Text::$name),*];

            pub const fn say(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Text::$name, Lang::En) => $en, (Text::$name, Lang::Ja) => $ja,)*
                }
            }
        }
    };
}

texts! {
    // The inspection sheet: its heading.
    SheetTitle: "Inspection photo record", "点検写真台帳";
    SheetNotice:
        "Ratings that no inspector has confirmed are suggestions of an image model. They do not replace an inspection: \
         an engineer decides.",
        "点検者の確認がない判定は、画像認識モデルによる参考値です。点検に代わるものではなく、健全性の診断は技術者が行ってください。";
    Device: "Device", "撮影機器";
    MadeAt: "Made", "作成日時";
    MadeWith: "Made with", "作成ソフト";
    Period: "Period", "撮影期間";
    Selection: "Selection", "抽出条件";
    Everything: "all photos", "全写真";
    From: "From", "開始";
    Before: "Before", "終了（この時刻より前）";
    NoPhotos: "No photo fulfils the conditions.", "条件に合う写真がありません。";
    // The inspection sheet: its summary.
    Summary: "Summary by member", "部材別集計";
    Photos: "Photos", "写真枚数";
    UrgentPhotos: "See first", "優先確認";
    DoubtfulPhotos: "Look again", "要再確認";
    DamageSeen: "Damage seen", "判定された損傷";
    WorstSoundness: "Worst soundness", "最も悪い判定区分";
    MemberRating: "Rating of the member", "部材の判定区分（案）";
    Total: "Total", "合計";
    // The inspection sheet: bridge, span and member.
    Bridge: "Bridge", "橋梁";
    Span: "Span", "径間";
    Member: "Member", "部材";
    NoBridge: "bridge not given", "橋梁未設定";
    NoSpan: "span not given", "径間未設定";
    NoMember: "member not given", "部材未設定";
    // The inspection sheet: one photo.
    Photo: "Photo", "写真";
    NoPicture: "No picture at hand: the photo file and its thumbnail are gone.", "画像なし（写真と縮小画像は本機にありません）";
    File: "File", "ファイル名";
    TakenAt: "Taken", "撮影日時";
    Position: "Position", "位置";
    Altitude: "Altitude", "高度";
    Camera: "Camera", "カメラ";
    BurstFrame: "Frame of a burst", "連写の何枚目か";
    Soundness: "Soundness", "健全性の判定区分";
    Measure: "Measure classification", "対策区分";
    DamageType: "Kind of damage", "損傷の種類";
    DamageLocation: "Member with the damage", "損傷のある部材";
    NoAnswer: "no answer", "判定なし";
    ConfidenceCalibrated:
        "Percentages: how often such answers were right on photos with known ratings.",
        "％は、評価が既知の写真で同様の判定が正しかった割合です。";
    ConfidenceUncalibrated: "Percentages are the method's own, not calibrated.", "％は判定手法の内部値です（未校正）。";
    Accepted: "Accepted by an inspector:", "点検者が確認済み：";
    Corrected: "Corrected by an inspector:", "点検者が修正済み：";
    Remark: "Inspector's remark", "点検者の所見";
    Signature: "Inspector's name and signature", "点検者（記名・署名）";
    SignedOn: "Date", "年月日";
    // Forms.
    Draft: "(draft)", "（案）";
    JudgedByModel: "image model, not confirmed", "画像認識（未確認）";
    NorthShort: "N", "北";
    NorthEastShort: "NE", "北東";
    EastShort: "E", "東";
    SouthEastShort: "SE", "南東";
    SouthShort: "S", "南";
    SouthWestShort: "SW", "南西";
    WestShort: "W", "西";
    NorthWestShort: "NW", "北西";
    // Reasons to see a photo first.
    ReviewFirst: "An engineer should see this photo first:", "技術者が優先して確認してください：";
    SimilarSoundnessIv:
        "similar photos are rated IV (emergency action)",
        "類似写真に判定区分Ⅳ（緊急措置段階）があります";
    SimilarMeasureE1:
        "similar photos need measure E1 (emergency response, structural safety)",
        "類似写真に対策区分E1（橋梁構造の安全性の観点から緊急対応）があります";
    SimilarMeasureE2:
        "similar photos need measure E2 (emergency response, such as harm to third parties)",
        "類似写真に対策区分E2（第三者被害のおそれなど、その他の緊急対応）があります";
    // Reasons for a second look.
    NotExcluded: "Not excluded:", "否定できない区分：";
    DraftFinding: "Draft finding, to be confirmed:", "所見（案・要確認）：";
    DraftFrom: "Said by labelled photos", "根拠となる判定済みの写真";
    LookAgain: "Look again:", "再確認してください：";
    FarNeighbours:
        "No labelled photo is like this one: judge it on the spot.",
        "似た写真が参照データにありません。現地で目視により判定してください。";
    NearTie:
        "Another rating or measure is nearly as likely: check the neighbouring ones too.",
        "判定が僅差です。隣り合う区分にあたらないか確認してください。";
    MethodsDisagree:
        "Two ways of judging it disagree: judge it on the spot.",
        "判定手法によって結果が異なります。現地で目視により判定してください。";
    Blurred:
        "The photo is blurred, or shows a plain surface: take it again, closer.",
        "ピンぼけ・手ぶれ、または模様のない面です。近づいて撮り直してください。";
    TooDark: "The photo is too dark: take it again with light.", "暗すぎます。照明を当てて撮り直してください。";
    TooBright:
        "The photo is too bright: take it again with less exposure.",
        "明るすぎます（白飛び）。露出を下げて撮り直してください。";
    OtherClass:
        "\"Other\" can be falling-out of the deck, an abnormal gap, a defect of an anchorage or deflection: they have \
         no class of their own.",
        "「その他」には、抜け落ち、遊間の異常、定着部の異常、異常なたわみなど、個別の区分のない損傷が含まれます。";
    // Sources of a time.
    TimeGps: "by satellite", "衛星時刻";
    TimeNtp: "by network time", "ネットワーク時刻（NTP）";
    TimeExif: "by the camera's clock", "カメラの時計";
    TimeUnsynced: "uncertain: nothing had set the clock", "不確か（時計が合わせられていません）";
    // Sources of a position.
    PositionUnknown: "not known", "不明";
    PositionLaserTarget: "the point itself, by the drone's laser", "レーザー測距による対象点";
    PositionRtk: "of the camera or aircraft, by RTK", "カメラ・機体の位置（RTK）";
    PositionExif: "of the camera or aircraft, by its own receiver", "カメラ・機体の位置（内蔵GPS）";
    PositionXmp: "of the aircraft, by its own receiver (XMP)", "機体の位置（XMP）";
    PositionSerialGps: "of this device's receiver", "本機の受信機の位置";
    PositionMavlink: "of the aircraft, by its flight controller", "機体の位置（フライトコントローラー）";
    FixEstimated: "estimated", "推定";
    FixAutonomous: "satellites alone", "単独測位";
    FixDifferential: "with corrections (DGPS)", "補正あり（DGPS）";
    FixRtkFloat: "RTK float", "RTKフロート解";
    FixRtkFixed: "RTK fixed", "RTKフィックス解";
    Hdop: "HDOP", "HDOP";
    StandardDeviation: "standard deviation", "標準偏差";
    FixAge: "age of the fix", "測位からの経過時間";
    RightWithin: "right within (95 %)", "誤差（95 %）";
    Contradicted: "contradicted by", "食い違い";
    BasisTrigger: "report of the flight controller", "フライトコントローラーの撮影記録";
    BasisCamera: "the camera's clock", "カメラの時計";
    BasisCameraGps: "satellite time in the photo", "写真に記録されたGPS時刻";
    BasisWritten: "the writing of the file", "ファイルの書き込み";
    BasisArrival: "the arrival of the photo", "写真の受信";
    BasisFile: "the time of the file", "ファイルの日時";
    Receiver: "receiver", "受信機";
    // The field page: its frame.
    SkipToContent: "Skip to the content", "本文へ移動";
    Sections: "Sections", "メニュー";
    AllPhotos: "Photos", "写真";
    Search: "Search", "検索";
    Coverage: "Coverage", "点検状況";
    Map: "Map", "位置図";
    ThisDevice: "Device", "機器";
    NoDevice: "The device does not answer. Come closer, or check its Wi-Fi.", "機器が応答しません。近づくか、Wi-Fi接続を確認してください。";
    DeviceFull: "The device is full and takes no photos:", "空き容量がなく、写真を受け付けていません：";
    BrokerRefuses: "The broker refuses:", "送信先が拒否しています：";
    Kept: "Kept.", "保存しました。";
    Keep: "Keep", "保存";
    // The field page: the list of photos.
    SeeFirst: "See first", "優先確認";
    ShowAll: "Show all", "すべて表示";
    MorePhotos: "More photos", "さらに表示";
    OnlyUrgent: "Only what should be seen first", "優先確認のみ表示";
    NoPhotosYet: "No photos yet.", "写真はまだありません。";
    TakePhoto: "Take a photo", "写真を撮る";
    SendingPhoto: "Sending the photo …", "写真を送信しています…";
    JudgingPhoto: "Judging the photo …", "判定しています…";
    KnownAlready: "This photo was judged before.", "この写真は判定済みです。";
    NotTaken: "The photo was not taken in.", "写真を取り込めませんでした。";
    NotJudged: "The photo could not be judged.", "判定できませんでした。";
    // The field page: one photo.
    ItWas: "The device had said:", "機器の判定：";
    Evidence: "Similar photos with known ratings", "評価が既知の類似写真";
    EarlierPhotos: "Earlier photos of this place", "同じ箇所の過去の写真";
    NoEarlierPhotos: "There are none.", "ありません。";
    AboutPhoto: "About the photo", "写真の情報";
    ChangedMeanwhile: "This photo was judged anew; open it again.", "判定が更新されました。開き直してください。";
    Size: "Pixels", "画素数";
    Model: "Model", "判定モデル";
    YourWord: "Your judgement", "点検者の判定";
    YourName: "Your name", "氏名";
    NameNeeded: "Enter your name: it is kept with your judgement.", "氏名を入力してください。判定とともに記録されます。";
    Accept: "Accept", "確認済みにする";
    Correct: "Correct", "修正する";
    KeepCorrection: "Keep the correction", "修正を保存";
    WordKept: "Your judgement is kept.", "点検者の判定を保存しました。";
    Undo: "Undo the judgement", "判定を取り消す";
    WordUndone: "The last judgement is taken back.", "直前の判定を取り消しました。";
    History: "History of judgements", "判定の履歴";
    ActAccepted: "accepted", "確認";
    ActCorrected: "corrected to", "修正 →";
    ActUndone: "taken back; what stands:", "取り消し（現在の判定）：";
    WhereItIs: "Where it belongs", "部位の設定";
    // The field page: search.
    SearchWords: "What to look for", "検索語";
    SearchExample: "corrosion at a joint", "例：corrosion at a joint（英語）";
    SearchWhere: "Where to look", "検索対象";
    OwnPhotos: "Photos of this device", "本機の写真";
    LabelledPhotos: "Photos with known ratings", "参照データ";
    OnlyWith: "Only with", "絞り込み";
    AnyLabel: "any rating", "すべての評価";
    SearchPhoto: "Search by a photo", "写真で検索";
    Searching: "Searching …", "検索しています…";
    NothingFound: "Nothing found.", "見つかりませんでした。";
    // The field page: coverage and map.
    LastPhoto: "Last photo", "最終撮影";
    NoPhotoYet: "no photo yet", "写真なし";
    MemberAnswer: "One answer for the member", "部材としての判定案";
    MemberSingle: "Damage in single photos", "一部の写真にのみ見られる損傷";
    MemberCarried: "Photos that carry the rating", "区分の根拠となる写真";
    MemberDecisive: "Photos without which the rating changes", "除くと区分が変わる写真";
    MemberViews: "Different views", "異なる視点の数";
    MemberNote: "A suggestion, joined from the photos of this member. The percentages are not calibrated.", "この部材の写真をまとめた判定案です。百分率は補正されていません。";
    TakeAway: "Files to take away", "ファイルの保存";
    NoPositions: "No photo of this session has a position.", "位置のある写真がありません。";
    // The field page: the device.
    Link: "Link", "通信";
    LinkOffline: "Offline", "オフライン";
    LinkConnecting: "Connecting", "接続中";
    LinkDraining: "Sending", "送信中";
    LinkLive: "Online", "オンライン";
    LinkHeld: "Online; some of it is refused", "オンライン（一部拒否）";
    LinkRefused: "Refused", "接続拒否";
    QueueWaiting: "Waiting", "未送信";
    Metered: "The link costs money: only the most important is sent", "従量課金の回線：重要な情報のみ送信する";
    RetryRefused: "Send them again", "再送信する";
    QueueSetAside: "Refused events", "拒否された通知";
    FailedFiles: "Unreadable files", "読めないファイル";
    DiskFree: "Free", "空き容量";
    Temperature: "Temperature", "温度";
    Losses: "Losses", "失われたもの";
    LostThumbnailsDropped: "small pictures dropped for room", "容量不足で削除した縮小画像";
    LostCapturesForgotten: "delivered photos forgotten for room", "容量不足で削除した送信済み記録";
    LostEventsSetAside: "events refused by the broker", "送信先に拒否された通知";
    LostImportsDropped: "events of other devices dropped by hand", "手動で破棄した他機の通知";
    LostTimesFull: "times full", "満杯になった回数";
    LostFilesQuarantined: "damaged databases", "破損したデータベース";
    LostRowsDamaged: "damaged rows", "破損した行";
    LostSequencesSkipped: "numbers skipped", "欠番";
    NextPhotos: "The next photos show", "これから撮る部位";
    LetIn: "Let a visitor in", "端末の登録";
    LetInHow: "They open this device's address, and enter the code and their name.", "相手の端末で本機のアドレスを開き、番号と氏名を入力します。";
    CodeInspector: "Code for an inspector", "点検者用の番号";
    CodeViewer: "Code for a viewer", "閲覧者用の番号";
    Visitors: "Visitors who were let in", "登録済みの端末";
    RoleInspector: "inspector", "点検者";
    RoleViewer: "viewer", "閲覧者";
    LastSeen: "last seen", "最終アクセス";
    MinutesAgo: "min ago", "分前";
    SendAway: "Send away", "登録を取り消す";
    DoorClosed: "The page cannot be reached at", "次のアドレスでは接続できません：";
    Appearance: "Appearance", "表示";
    Language: "Language", "言語";
    Colours: "Colours", "配色";
    ThemeSystem: "as the system", "端末の設定";
    ThemeLight: "light", "明るい";
    ThemeDark: "dark", "暗い";
    ThemeContrast: "high contrast", "高コントラスト";
    // The field page: pairing.
    ComeIn: "Come in", "端末の登録";
    ComeInHow: "Enter the code that the device shows (`bridgeclip pair`).", "機器に表示された番号を入力してください（bridgeclip pair）。";
    Code: "Code", "番号";
    Enter: "Enter", "登録";
    Leave: "Leave", "登録解除";
}

impl Text {
    pub fn of_category(category: Category) -> Self {
        match category {
            Category::Soundness => Text::Soundness,
            Category::Measure => Text::Measure,
            Category::DamageType => Text::DamageType,
            Category::DamageLocation => Text::DamageLocation,
        }
    }

    pub fn of_sign(sign: UrgentSign) -> Self {
        match sign {
            UrgentSign::SoundnessIv => Text::SimilarSoundnessIv,
            UrgentSign::MeasureE1 => Text::SimilarMeasureE1,
            UrgentSign::MeasureE2 => Text::SimilarMeasureE2,
        }
    }

    pub fn of_doubt(reason: SecondLook) -> Self {
        match reason {
            SecondLook::FarNeighbours => Text::FarNeighbours,
            SecondLook::NearTie => Text::NearTie,
            SecondLook::MethodsDisagree => Text::MethodsDisagree,
            SecondLook::Blurred => Text::Blurred,
            SecondLook::TooDark => Text::TooDark,
            SecondLook::TooBright => Text::TooBright,
            SecondLook::OtherClass => Text::OtherClass,
        }
    }

    pub fn of_time(quality: TimeQuality) -> Self {
        match quality {
            TimeQuality::Gps => Text::TimeGps,
            TimeQuality::Ntp => Text::TimeNtp,
            TimeQuality::Exif => Text::TimeExif,
            TimeQuality::Unsynced => Text::TimeUnsynced,
        }
    }

    pub fn of_source(source: PositionSource) -> Self {
        match source {
            PositionSource::LaserTarget => Text::PositionLaserTarget,
            PositionSource::Rtk => Text::PositionRtk,
            PositionSource::Exif => Text::PositionExif,
            PositionSource::Xmp => Text::PositionXmp,
            PositionSource::SerialGps => Text::PositionSerialGps,
            PositionSource::Mavlink => Text::PositionMavlink,
        }
    }

    pub fn of_fix(quality: FixQuality) -> Self {
        match quality {
            FixQuality::Estimated => Text::FixEstimated,
            FixQuality::Autonomous => Text::FixAutonomous,
            FixQuality::Differential => Text::FixDifferential,
            FixQuality::RtkFloat => Text::FixRtkFloat,
            FixQuality::RtkFixed => Text::FixRtkFixed,
        }
    }
}

/// Writes the key of the text in JSON.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Texts that are the same in both languages.
    const SHARED: [Text; 1] = [Text::Hdop];

    fn is_japanese(text: &str) -> bool {
        text.chars().any(|letter| matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
    }

    #[test]
    fn every_text_is_there_in_its_language() {
        for &text in Text::ALL {
            let [en, ja] = Lang::ALL.map(|lang| text.say(lang));
            assert!(!en.trim().is_empty() && en.trim() == en && ja.trim() == ja, "{text}");
            assert!(!is_japanese(en), "{text}: {en}");
            assert_eq!(is_japanese(ja), !SHARED.contains(&text), "{text}: {ja}");
            assert_eq!(en == ja, SHARED.contains(&text), "{text}");
            assert!(!en.contains("  ") && !ja.contains("  "), "{text}");
        }
    }

    #[test]
    fn a_language_is_one_json_object_by_key() {
        for lang in Lang::ALL {
            let table: BTreeMap<String, String> = serde_json::from_str(&json(lang)).expect("JSON");
            assert_eq!(table.len(), Text::ALL.len(), "every key once");
            assert_eq!(table["sheet_title"], Text::SheetTitle.say(lang));
            assert_eq!(table["similar_measure_e1"], Text::SimilarMeasureE1.say(lang));
        }
    }

    #[test]
    fn classes_are_told_as_inspectors_know_them() {
        let class = |category: Category, label| category.class(category.class_index(label).expect("a label"));
        assert_eq!(Lang::En.class(class(Category::Measure, "C1")), "C1 (prompt repair, preventive viewpoint)");
        assert_eq!(Lang::En.class(class(Category::DamageType, "cracking")), "cracking");
        assert_eq!(Lang::Ja.class(class(Category::Soundness, "III")), "Ⅲ");
        assert_eq!(Lang::Ja.class(class(Category::DamageType, "corrosion")), "腐食");
    }
}
