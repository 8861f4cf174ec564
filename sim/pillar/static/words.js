// Words of the page in the three languages. What the lamp says is what docs/diagnostics.md says.

const KEPT = "sos-language";
export const NAMES = { en: "English", ru: "Русский", kk: "Қазақша" };

const WORDS = {
  en: {
    language: "Language",
    lost: "No connection to the simulator: trying again.",
    pillar: "The column",
    button: "SOS button",
    lamp: "The lamp",
    "lamp-ready": "This column works.",
    "lamp-calling": "It felt the press.",
    "lamp-sent": "The call is on its way.",
    "lamp-answered": "The centre has the call.",
    "lamp-unanswered": "It arrived, nobody has answered yet: call 102 as well.",
    "lamp-help-coming": "A person is dealing with it.",
    "lamp-not-delivered": "No answer yet: call 102 as well.",
    "lamp-out-of-service": "Go elsewhere, call 102.",
    "lamp-identify": "The centre is pointing at this column.",
    "lamp-dark": "No power.",
    listened: "The lamp goes dark for a moment, again and again: the centre hears this place.",
    hint: "The button is {height} m above the ground. Hold it with the mouse, a finger, Space or Enter: its contact stays closed for as long.",
    intercom: "The intercom",
    silent: "Silent: there is no call.",
    calling: "A call is on: the operator can hear this place.",
    speaking: "The operator is speaking.",
    voice: "The operator's voice",
    person: "Stand at the column: listen and speak",
    listening: "No microphone: you can only listen.",
    alone: "The intercom does not answer.",
    camera: "The camera",
    watched: "(looking: {n})",
    unwatched: "(nobody is looking)",
    hatch: "The technician's hatch",
    power: "Power",
    link: "Network",
    tamper: "Housing open",
    stuck: "Contact stuck",
    chatter: "Contact chattering",
    reset: "Reset",
    technical: "Lamp {lamp}, relay {relay}, start no. {boot}, test tone {pitch} Hz",
    closed: "closed",
    open: "open",
    console: "The column's console",
  },
  ru: {
    language: "Язык",
    lost: "Нет связи с симулятором: пробуем снова.",
    pillar: "Колонна",
    button: "Кнопка SOS",
    lamp: "Лампа",
    "lamp-ready": "Колонна исправна.",
    "lamp-calling": "Нажатие принято.",
    "lamp-sent": "Вызов передаётся.",
    "lamp-answered": "Центр получил вызов.",
    "lamp-unanswered": "Вызов получен, но никто ещё не ответил: звоните также 102.",
    "lamp-help-coming": "Вызовом занимается дежурный.",
    "lamp-not-delivered": "Ответа пока нет: звоните также 102.",
    "lamp-out-of-service": "Колонна не работает: звоните 102.",
    "lamp-identify": "Центр указывает на эту колонну.",
    "lamp-dark": "Нет питания.",
    listened: "Лампа то и дело гаснет на мгновение: центр слышит, что происходит рядом.",
    hint: "Кнопка на высоте {height} м. Держите её мышью, пальцем, пробелом или клавишей Enter: контакт замкнут, пока вы держите.",
    intercom: "Переговорное устройство",
    silent: "Молчит: вызова нет.",
    calling: "Идёт вызов: дежурный слышит, что происходит рядом.",
    speaking: "Говорит дежурный.",
    voice: "Голос дежурного",
    person: "Встать у колонны: слушать и говорить",
    listening: "Нет микрофона: можно только слушать.",
    alone: "Переговорное устройство не отвечает.",
    camera: "Камера",
    watched: "(смотрят: {n})",
    unwatched: "(никто не смотрит)",
    hatch: "Лючок техника",
    power: "Питание",
    link: "Сеть",
    tamper: "Корпус вскрыт",
    stuck: "Контакт залип",
    chatter: "Контакт дребезжит",
    reset: "Перезапуск",
    technical: "Лампа: {lamp}, реле {relay}, запуск № {boot}, тестовый тон {pitch} Гц",
    closed: "замкнуто",
    open: "разомкнуто",
    console: "Консоль колонны",
  },
  kk: {
    language: "Тіл",
    lost: "Симулятормен байланыс жоқ: қайта қосылып жатыр.",
    pillar: "Баған",
    button: "SOS түймесі",
    lamp: "Шам",
    "lamp-ready": "Баған жұмыс істейді.",
    "lamp-calling": "Басу қабылданды.",
    "lamp-sent": "Шақыру жіберілуде.",
    "lamp-answered": "Орталық шақыруды алды.",
    "lamp-unanswered": "Шақыру келді, әлі ешкім жауап бермеді: 102-ге де қоңырау шалыңыз.",
    "lamp-help-coming": "Кезекші шақырумен айналысуда.",
    "lamp-not-delivered": "Жауап әлі жоқ: 102-ге де қоңырау шалыңыз.",
    "lamp-out-of-service": "Баған жұмыс істемейді: 102-ге қоңырау шалыңыз.",
    "lamp-identify": "Орталық осы бағанды белгілеп тұр.",
    "lamp-dark": "Қуат жоқ.",
    listened: "Шам қайта-қайта бір мезет сөніп тұрады: орталық айналадағы дыбысты естиді.",
    hint: "Түйме {height} м биіктікте. Оны тінтуірмен, саусақпен, бос орын немесе Enter пернесімен басып тұрыңыз: басып тұрғанша түйіспе тұйықталып тұрады.",
    intercom: "Сөйлесу құрылғысы",
    silent: "Үнсіз: шақыру жоқ.",
    calling: "Шақыру жүріп жатыр: кезекші айналадағы дыбысты естиді.",
    speaking: "Кезекші сөйлеп тұр.",
    voice: "Кезекшінің даусы",
    person: "Баған жанына тұру: тыңдау және сөйлеу",
    listening: "Микрофон жоқ: тек тыңдауға болады.",
    alone: "Сөйлесу құрылғысы жауап бермейді.",
    camera: "Камера",
    watched: "(қарап отыр: {n})",
    unwatched: "(ешкім қарамайды)",
    hatch: "Техниктің қақпағы",
    power: "Қуат",
    link: "Желі",
    tamper: "Корпус ашық",
    stuck: "Түйіспе жабысып қалған",
    chatter: "Түйіспе дірілдеп тұр",
    reset: "Қайта іске қосу",
    technical: "Шам: {lamp}, реле {relay}, іске қосылу № {boot}, сынақ тоны {pitch} Гц",
    closed: "тұйықталған",
    open: "ажыратылған",
    console: "Бағанның консолі",
  },
};

let language = preferred();

/** Chosen before, else the browser's, else English. */
function preferred() {
  const wishes = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.slice(0, 2))];
  return wishes.find((wish) => wish in NAMES) ?? "en";
}

export const current = () => language;

/** Speak `wanted` from now on. */
export function use(wanted) {
  if (!(wanted in NAMES)) return;
  language = wanted;
  localStorage.setItem(KEPT, wanted);
}

/** The words for `key`, with `{name}` replaced. */
export function t(key, values = {}) {
  const text = WORDS[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Fills the elements that name their words: data-t, data-t-label. */
export function apply(root) {
  root.documentElement.lang = language;
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
}
