"""The texts of the invented accounts: sentences with blanks, and the special cases of real posts.

Everything is invented. Links are below example.org; people and places do not exist.
"""

WORDS = {
    "title": (
        "The Salt Ledger",
        "Nine Winters in Port Alder",
        "A Field Guide to Slow Trains",
        "The Cartographer’s Umbrella",
        "Letters to a Lighthouse",
        "The Understudy’s Atlas",
    ),
    "opening": (
        "A word on how a book is made",
        "Behind the page, once more",
        "The long way to a short novel",
        "What happens between a manuscript and a shelf",
        "Notes from the bindery",
        "Slowly, then on paper",
    ),
    "person": ("Ines Varga-Holm", "Tomas Okafelt", "Mirela Quist", "Jun Aldersey", "Petra Nwanholt"),
    "place": ("Port Alder", "Lower Maren", "Westhollow", "Karst Bay", "Saint Odile", "Ferrow"),
    "craft": ("Heron-4", "Lantern", "Pico-12", "Tern", "Meridian-2", "Little Auk", "Sextant", "Barnacle-7"),
    "station": ("Ferrow Ground", "Karst Bay Dish", "Station Nine", "the Maren array", "Westhollow Control"),
    "plant": ("foxgloves", "broad beans", "sweet peas", "hellebores", "quinces", "snowdrops", "chard"),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "hour": ("06:40", "09:15", "11:05", "13:30", "16:20", "18:45", "21:10"),
    "n": ("3", "4", "7", "11", "12", "18", "26", "31", "48", "64", "90", "144"),
    "deg": ("0.02", "0.4", "1.7", "3.1", "5.6", "12.9"),
    "who": ("ferrow_library", "maren_dispatch", "theslowpost", "karst_ferry", "odile_radio", "tern_watchers"),
}

SENTENCES = {
    "press": (
        "{title} by {person} is out on {weekday}, on paper that will outlive us. https://acme.example.org/{n}",
        "“Translate the silence first, the words will follow.” {person} on {title}, talking to @{who}",
        "We are reading until {weekday}: short novels, long letters, maps with opinions. #OpenCall",
        "Reprint no. {n} of {title} left the bindery at {hour}. The glue still argues with the weather.",
        "Tonight in {place}: {person} reads from {title}. Doors {hour}, tea from an old urn. #LiveReading",
        "Proofreader's find of the day: {n} commas in one sentence, every one of them earned.",
        "{person} has won the {place} Prize for {title}. We have opened the good biscuits. 🎉",
        "Our warehouse cat has inspected {n} boxes of {title} and approved the two in the sun.",
        "Lost in the post since spring, found in {place}: the cover of {title}. It has travelled well.",
        "A reader asks which edition of {title} has the right map. All of them, one after the other.",
    ),
    "orbit": (
        "{craft} has passed over {station}: {n} minutes of contact, all systems nominal. #OrbitalNews",
        "Window for {craft}: {weekday}, {hour} UTC, weather {n}% go. https://orbit.example.org/w/{n}",
        "Inclination of {craft} corrected by {deg}° after a burn of {n} s. Next look from {station}.",
        "{station} reports a clean downlink from {craft}: {n} images, no frame lost. 🛰️",
        "Correction: the {hour} pass of {craft} belongs to {station}. Thanks @{who}",
        "{person}, flight director of {craft}: “We moved {deg} degrees and slept {n} minutes.”",
        "Solar wind is up, radio is patchy, {craft} stays in safe mode until {weekday}. #SpaceWeather",
        "Debris watch: object {n}-{n} clears {craft} by {deg} km at {hour} UTC.",
        "How {station} hears a lamp from {n} million km away. https://orbit.example.org/a/{n}",
        "{craft} flies {deg} km closer to the terminator tonight, the closest since the {place} test.",
        "Telemetry from {craft} is back after {n} minutes in the shadow. Batteries: fine. Nerves: ask later.",
    ),
    "garden": (
        "The {plant} came up between two days of rain. Nothing else to report, gladly.",
        "Moved the {plant} to the wall that keeps the sun. {n} of them forgave me.",
        "First frost at {hour}. The {plant} look like they knew. ❄️",
        "A neighbour from {place} left a box of {plant} at the gate, and no note. #SmallThings",
        "Seed list for {weekday}: {plant}, a little rope, and what the birds decide. https://garden.example.org/{n}",
    ),
}

# With a link, a hashtag and a mention each.
FULL = (
    "{title} is here, with a map that folds out and a foreword by @{who}. #NewBooks https://acme.example.org/{n}",
    "{person} tells @{who} how {title} came about, in {n} minutes. #BookTalk https://acme.example.org/talks/{n}",
    "Open bindery in {place} on {weekday}, {hour}: @{who} brings the glue. #OpenDay https://acme.example.org/{n}",
)

LONG = {
    "en": (
        "{opening}: {n} readers asked this week, and the answer is longer than a label.",
        "{person} wrote the first draft of {title} on a night ferry, in a notebook bought for recipes.",
        "The second draft lost {n} pages & gained a lighthouse; the third kept only the keeper.",
        "Our editor read it aloud to an empty room, the only honest test of a sentence we know of.",
        "The cover is a linocut, pulled {n} times on a press older than the house, in a blue of its own.",
        "The paper comes from a mill in {place}, where one sheet in a thousand is hung up for luck.",
        "If a page feels rougher than the next, that is the weather of the {weekday} it was made on.",
        "Binding took until {hour} and most of the tea. Nobody hurried, which is the whole method.",
        "We printed fewer than we could sell & more than we could carry. https://acme.example.org/notes/{n}",
        "One box went to the harbour library, because that is where the story begins, and ends.",
        "Another stays here, for whoever comes by on a wet afternoon and asks what we are reading.",
        "Thank you for reading slowly, for lending it on, and for the letters. We answer all. #BookMaking",
    ),
    "es": (
        "Hoy contamos despacio la historia de un mapa: lo dibujó {person} en una cocina de {place}.",
        "Tardó {n} inviernos, porque cada río pedía su azul y el papel no siempre estaba de acuerdo.",
        "Lo imprimimos a las {hour}, con niebla; quien quiera verlo puede venir sin avisar. #Mapas",
        "Gracias a @{who} por la lupa, la paciencia y la escalera. ¿Quién se anima a otra edición?",
    ),
    "de": (
        "Die Werkstatt in {place} bleibt heute offen: {person} zeigt, wie aus {n} Bögen ein Buch wird.",
        "Erst falzen, dann warten, dann nähen; wer zu früh presst, hört es noch nach Jahren. #Buchbinden",
        "Fragen sind erwünscht, Kuchen ebenfalls. Beginn {hour} Uhr, Ende, wenn der Leim es sagt.",
        "Mehr, mit Bildern & Größenangaben, auf unserer Seite: https://werkstatt.example.org/{n}",
    ),
    "ja": (
        "今日は港町の小さな灯台についてお話しします。灯台守は毎晩、海の色を一行だけ書き残しました。",
        "冬の欄には「鉛色、ただし月の出のあと少し青い」、夏の欄には「昨日より静か」とあります。",
        "日誌は三十一冊あり、湿気で開かない頁もありますが、読める頁は来月から公開する予定です。",
        "修復には和紙と小麦の糊を使い、一日に二頁だけ進めます。急ぐと紙が怒ると担当者は笑います。",
        "ご希望の方は図書室の窓口へどうぞ。遠方の方には、頁の写真をお送りすることもできます。",
        "灯台は今も週末だけ灯ります。天気のよい夜には、対岸の坂道からでもその光が見えます。",
        "最後の一行はこうです。「今夜も船は帰った。言うことなし」。それが一番好きだという人が多いのです。",
    ),
    "ar": (
        "نفتح اليوم دفتر المنارة القديم: كان الحارس يكتب كل ليلة سطرًا عن لون البحر، ثم ينام.",
        "في الشتاء كتب «رمادي، لكنه يزرق بعد طلوع القمر»، وفي الصيف اكتفى بكلمتين: «أهدأ من أمس».",
        "عدد الدفاتر {n}، وما يُقرأ منها سيُعرض في قاعة المطالعة، من الصباح حتى الساعة {hour}. #منارة",
        "شكرًا لكل من ساعدنا في الترميم بالصبر وغراء القمح؛ التفاصيل هنا https://light.example.org/{n}",
    ),
}

# Language, text, and whether it has a picture. Each of them has broken a table.
SPECIAL_CASES = (
    ("en", "Crew photo: 👩🏽‍🚀👨‍👩‍👧‍👦 and the 🏳️‍🌈 mission patch. 𝒪𝓇𝒷𝒾𝓉 day {n}!", True),
    ("en", "Three notes for {weekday}:\n\n1. Water the {plant}\n2. Call {place}\n3. Nothing else", False),
    ("en", "Line ends:\r\nWindows,\u2028Unicode,\u2029paragraphs,\u0085next line,\tand a tab.", False),
    ("en", "Salt & pepper <b>never</b> meet: 4 < {n} && {n} > 4. R&D says &amp; is fine. #Markup", False),
    ("ar", "\u2067نشرة المساء\u2069 {place}: السماء صافية \u200f#مدار https://orbit.example.org/{n}", False),
    ("he", "ערב טוב מהגינה: שתלנו {n} פקעות, והגשם הגיע בזמן. #גינה", False),
    ("en", "=SUM(patience, water, {n}) is this season's formula.", False),
    ("en", "+{n} degrees at noon in {place}, and the tar on the roof sings.", False),
    ("en", "-{deg} at {hour}. The inkwell froze before the poet did.", False),
    ("en", "@{who} was right about the tides, and we say so in public.", False),
    ("en", "NA", False),
    ("en", "RT @{who} means “read twice” in this house. No retweet, just advice.", False),
    ("en", '"Quoted, with commas", she said, "and C:\\maps\\{n}\\", or not; \'fine\'.', False),
    ("und", "#Tern #Heron {n} 🌖", False),
    ("zxx", "", True),
    ("qme", "🍩", True),
    ("en", "$ACME closed at {n}.{n}, $TERN did not close at all. Cash, tag, repeat. #Markets", False),
    ("es", "¿Mañana, señor Ñandú? A las {hour} en {place}: piñatas, über-café y cigüeñas. 🎏", False),
    ("fr", "Œuvre du jour : « {title} », entrée {n} €, l’île d’à côté. https://ile.example.org/{n}", True),
    ("ja", "今夜の{craft}は{n}分間見えます。空を見上げてください。🌌 #人工衛星", False),
    ("hi", "आज रात {hour} बजे {craft} दिखेगा। आसमान साफ़ है। #आकाश", False),
    ("en", "  Two spaces before, a zero-width\u200bjoint, a no-break\u00a0space, and two after  ", False),
    ("en", "0{n}-0{n}: dates, numbers and 1e{n} look alike from afar; 00{n} is a name. TRUE.", False),
    ("ko", "{place} 관측소에서 {n}번째 신호를 받았습니다. 감사합니다 🙏 #궤도", False),
)
