package identity

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/internal/problem"
)

// aboutAnn is what a guesser knows about the person in these tests and about the installation.
var aboutAnn = []string{
	"ann", "ann@example.com", "Ann Archer",
	"sluice", "flowise", "langflow",
	"Acme Roadrunners", "Research",
}

// easyPasswords are long enough and refused, by what a guesser would do.
var easyPasswords = map[string][]string{
	"common passwords, repeated and joined": {
		"passwordpassword",
		"password password",
		"Password-Password",
		"passwordpasswordpassword",
		"PASSWORDPASSWORD",
		"qwertyqwertyqwerty",
		"letmeinletmeinletmein",
		"iloveyouiloveyou",
		"welcomewelcome1",
		"adminadminadmin",
		"administratoradministrator",
		"rootrootrootroot",
		"monkeymonkeymonkey",
		"dragondragondragon",
		"sunshinesunshine",
		"monkeydragonmaster",
		"monkey dragon master shadow",
		"passwordmonkeydragon",
		"footballbaseball",
		"baseballfootballhockey",
		"superman batman spiderman",
		"letmeinplease123",
		"welcometothecompany",
		"changemechangeme",
		"changeme123456789",
		"testtesttesttest",
		"testtest12345678",
		"secretpassword1",
		"mysecretpassword",
		"mysupersecretpassword",
		"mypasswordispassword",
		"thisismypassword",
		"this is my password",
		"this_is_my_password",
		"thispasswordissecure",
		"trustno1trustno1",
		"abc123abc123abc123",
		"defaultpassword",
		"masterpassword1",
		"temporarypassword",
		"newpassword2024",
		"guestguestguest1",
		"loginloginlogin",
		"passw0rdpassw0rd",
		"princessprincess",
		"charliecharlie1",
		"michaelmichael1",
		"jenniferjessica",
		"johnsmithjohnsmith",
		"john smith mary jones",
		"asdfasdfasdfasdf",
		"abcabcabcabcabc",
		"xyzxyzxyzxyzxyz",
		"long sentence long sentence long sentence",
		"drowssapdrowssap",
		"passworddrowssap",
		"hellohellohello",
		"helloworldhelloworld",
		"ilovemypassword",
		"iloveyouforever",
		"p.a.s.s.w.o.r.d.p.a.s.s.w.o.r.d",
		"p a s s w o r d 1 2 3 4",
		"motdepasse motdepasse",
		"passwortpasswort",
		"ichliebedich123",
		"contrasenacontrasena",
		"senhasenhasenha",
		"qwerty123456789",
		"qwerty1234567890",
	},
	"replaced letters": {
		"P@ssw0rdP@ssw0rd",
		"P@$$w0rdP@$$w0rd",
		"p4ssw0rd12345678",
		"P455w0rd!P455w0rd!",
		"l3tm31nl3tm31n!!",
		"1l0v3y0u1l0v3y0u",
		"w3lc0m3w3lc0m3!",
		"@dm1n1str@t0r123",
		"m0nk3ydr4g0nm4st3r",
		"$uper$ecretP@ss",
		"s3cr3tp@$$w0rd1",
		"Pa$$w0rd1234567",
		"tru5tn01tru5tn01",
		"b4seb4llf00tb4ll",
		"c0rr3ct h0rs3 b4tt3ry st4pl3",
	},
	"known phrases": {
		"correct horse battery staple",
		"correcthorsebatterystaple",
		"CorrectHorseBatteryStaple",
		"Correct-Horse-Battery-Staple-1",
		"correct horse battery staple 42",
		"correcthorsebatterystaple!",
		"thequickbrownfox",
		"the quick brown fox jumps over the lazy dog",
		"tobeornottobethatisthequestion",
		"To be or not to be, that is the question",
		"maytheforcebewithyou",
		"May the Force be with you!",
		"lorem ipsum dolor sit amet",
		"loremipsumdolorsitamet",
		"winter is coming",
		"you shall not pass",
		"livelongandprosper",
		"nevergonnagiveyouup",
		"twinkletwinklelittlestar",
		"stairwaytoheaven",
		"welcometothejungle",
		"happybirthdaytoyou",
		"iamyourfather123",
		"onceuponatime123",
		"inthebeginning1",
		"keepcalmandcarryon",
		"rosesareredvioletsareblue",
		"an apple a day keeps the doctor away",
		"thelordismyshepherd",
		"ilovemydogandcat",
		"ihaveadreamtoday",
		"allyouneedislove",
		"harrypotterharrypotter",
		"openthedoorplease",
		"helloworld123456",
		"onetwothreefourfive",
		"one two three four five six",
		"mondaytuesdaywednesday",
		"januaryfebruarymarch",
		"alphabravocharlie",
	},
	"walks over keyboards": {
		"qwertyuiopasdfgh",
		"qwertyuiopasdfghjkl",
		"qwertyuiop123456",
		"qwertyuiop[]asdfgh",
		"asdfghjklasdfghjkl",
		"zxcvbnmzxcvbnmzxcvbnm",
		"zxcvbnmasdfghjkl",
		"poiuytrewqlkjhgf",
		"mnbvcxzlkjhgfdsa",
		"1qaz2wsx3edc4rfv",
		"!QAZ@WSX#EDC$RFV",
		"1qaz!QAZ2wsx@WSX",
		"1qaz2wsx1qaz2wsx",
		"qazwsxedcrfvtgb",
		"qazwsxedcrfvtgbyhnujm",
		"zaq12wsxcde34rfv",
		"zaq1xsw2cde3vfr4",
		"qazxswedcvfrtgbnhyujm",
		"1q2w3e4r5t6y7u8i9o0p",
		"q1w2e3r4t5y6u7i8",
		"1Q2w3E4r5T6y7U8i",
		"qawsedrftgyhujik",
		"1234qwerasdfzxcv",
		"qwerasdfzxcv1234",
		"qweasdzxcqweasdzxc",
		"qweasdzxc123456",
		"qwe123asd456zxc789",
		"123qwe123qwe123qwe",
		"qwertzuiopasdfgh",
		"qwertzuiopyxcvbnm",
		"azertyuiopqsdfgh",
		"azertyuiopqsdfghjklm",
		"wxcvbnqsdfghazerty",
		"aoeuidhtnsaoeuidhtns",
		"789456123789456",
		"147258369147258",
		"159357159357159357",
		"741852963741852",
		"!@#$%^&*()!@#$%^",
		"q w e r t y u i o p a s d f",
		"qwertyuiop-asdfghjkl",
	},
	"sequences": {
		"abcdefghijklmnop",
		"abcdefghijklmnopqrstuvwxyz",
		"zyxwvutsrqponmlk",
		"ABCDEFGHIJKLMNO1",
		"123456789012345",
		"1234567890123456",
		"0123456789012345",
		"9876543210987654",
		"12345678987654321",
		"abcdefg12345678",
		"abcd1234abcd1234",
		"a1b2c3d4e5f6g7h8",
		"1a2b3c4d5e6f7g8h",
		"abc123def456ghi789",
		"abc-def-ghi-jkl-mno",
		"aabbccddeeffgghh",
		"112233445566778899",
		"123123123123123",
		"1212121212121212",
		"135791357913579",
		"102030405060708090",
		"1111222233334444",
	},
	"one character, and padding": {
		"aaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaa",
		"000000000000000",
		"1111111111111111",
		"................",
		"---------------",
		"!!!!!!!!!!!!!!!!",
		"aaaaabbbbbccccc",
		"password!!!!!!!",
		"password!!!!!!!!!!!!!!!!",
		"password00000000",
		"admin0000000000000",
		"monkey.............",
		"*****dragon*****",
		"hello!!!!!!!!!!!",
		"!!!welcome!!!welcome",
		"xkqz000000000000",
		"abc............123",
		"                a",
	},
	"years and dates": {
		"password20242024",
		"Password2024!!!!",
		"Summer2024Summer2024",
		"summer2024winter2025",
		"Winter2024!Winter",
		"January2024February",
		"Welcome2023Welcome",
		"monkeys19871987",
		"19871987198719871987",
		"01011980010119800101",
		"01.01.1980 01.01.1980",
		"1987-05-13 1987-05-13",
		"20240101password",
		"password13051987",
		"iloveyou14022024",
		"football1999-2000",
		"december31122024",
	},
	"names": {
		"annannannannann",
		"ann@example.com ann",
		"ann.archer.2024!!",
		"AnnArcher123456",
		"rehcranna123456",
		"4nn4rch3r4nn4rch3r",
		"archer1234567890",
		"sluicesluicesluice",
		"sluice123456789",
		"Sluice-Password-1",
		"flowiseflowise1",
		"langflowlangflow",
		"langflow2024langflow",
		"l4ngfl0wl4ngfl0w",
		"flowise admin password",
		"acmeroadrunners1",
		"AcmeRoadrunners2024!",
		"acme acme acme acme",
		"welcometoacme2024",
		"research123456789",
	},
}

// goodPasswords are accepted: sentences, unrelated words, and what programs generate.
var goodPasswords = []string{
	"orange teapots on the moon",
	"seven unlikely herons dance",
	"another fine sentence here",
	"a completely different phrase",
	"my uncle grows rhubarb behind the shed",
	"the ferry to Oban leaves before breakfast",
	"nobody waters the plastic ferns anymore",
	"cabbage violin submarine pepper",
	"glacier-trumpet-noodle-velvet",
	"walnut_orbit_candle_magnet",
	"brisket lantern hopscotch quarry",
	"purple tiger dances quietly",
	"orange elephant river stone",
	"Zebra hammocks swing in Lisbon",
	"turnip bicycle thunder cushion",
	"gravel pudding satellite moth",
	"two frogs argue about taxes",
	"we painted the kitchen ceiling turquoise",
	"Grandma's parrot swears in Dutch",
	"three lemons and a broken umbrella",
	"why does the toaster hum at night",
	"pickled onions make me sneeze",
	"basalt meadow sprocket dune",
	"mellow badgers juggle turnips",
	"the accordion fell off the balcony",
	"violet harbor cricket maple tunnel",
	"I left my socks in Reykjavik",
	"every second Tuesday we eat herring",
	"crooked spoons never rust",
	"hedgehog parade at dawn",
	"unser Nachbar züchtet lila Karotten",
	"der Dachs frisst heimlich Gurken",
	"le facteur oublie toujours son vélo",
	"mi abuela colecciona paraguas rotos",
	"жёлтый автобус едет домой",
	"私の猫は毎朝六時に歌を歌います",
	"🐎🔋🧷✅ four little pictures",
	"kX9#vQ2mLp7!wRz",
	"7hG2kLq9ZxV4bN8m",
	"vjqkzwpxmbtrhgy",
	"Tz4!mQ8@wLr2#pNx",
	"m8Qv-2xRt-9LwK-4zPn",
	"gqumlfbxoatnwzj",
	"c7f0a9e15b3d8264",
	"0b9ce4d7f1a83652e6",
	"xWqzR7pLm3VbNtYu",
	"Wd7tq mR2xk Pz9hv",
	"plinth ocarina vex 77 juniper",
	"borogoves mimsy under the flyover",
	"quixotic marmalade ceramic tundra",
	"saffron kettle umpire lagoon",
	"nine hundred wet accordions",
}

func TestCheckPassword_Easy(t *testing.T) {
	t.Parallel()
	const easy = "The password is easy to guess: it consists of "
	count := 0
	for class, passwords := range easyPasswords {
		for _, password := range passwords {
			count++
			err := checkPassword(password, aboutAnn)
			if p := problem.Of(err); err == nil || p.Field != "password" || !strings.HasPrefix(p.Detail, easy) {
				t.Errorf("%s: %q: %v", class, password, err)
			}
		}
	}
	if count < 200 {
		t.Errorf("%d passwords are tried, want 200 or more", count)
	}
}

func TestCheckPassword_Good(t *testing.T) {
	t.Parallel()
	if len(goodPasswords) < 50 {
		t.Errorf("%d passwords are tried, want 50 or more", len(goodPasswords))
	}
	for _, password := range goodPasswords {
		if err := checkPassword(password, aboutAnn); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestCheckPassword_Form(t *testing.T) {
	t.Parallel()
	tests := []struct{ password, says string }{
		{"", "too short"},
		{"short one", "too short"},
		{"fourteen chars", "too short"},
		{"ﬀﬀﬀﬀﬀﬀﬀ", "too short"},
		{"\ufdfa", "too short"},
		{strings.Repeat("x", MaxPassword+1), "too long"},
		{"bad utf8 \xff\xfe and some more", "not valid text"},
		{strings.Repeat("x", MaxPassword), "easy to guess"},
	}
	for _, test := range tests {
		err := checkPassword(test.password, aboutAnn)
		if err == nil || !strings.Contains(err.Error(), test.says) || problem.Of(err).Field != "password" {
			t.Errorf("%.40q: %v, want %q", test.password, err, test.says)
		}
	}
}

func TestCheckPassword_Says(t *testing.T) {
	t.Parallel()
	tests := []struct{ password, made string }{
		{"monkeydragonmaster", "common passwords or words"},
		{"0okm9ijn8uhb7ygv", "neighboring keys"},
		{"mnopqrstuvwxyzmnop", "a sequence and repetition"},
		{"annarcherannarcher", "names that belong to you or to this installation"},
		{"13051987 07.11.1990", "dates"},
		{"................", "too few different characters"},
	}
	for _, test := range tests {
		err := checkPassword(test.password, aboutAnn)
		if err == nil || !strings.Contains(err.Error(), test.made) {
			t.Errorf("%q: %v, want %q", test.password, err, test.made)
		}
	}
}

// TestWords holds what the search in the list relies on.
func TestWords(t *testing.T) {
	t.Parallel()
	previous := ""
	for line := range strings.Lines(words) {
		word, cost, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || word <= previous || len(cost) != 1 ||
			strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Fatalf("the line %q after %q", line, previous)
		}
		if n := hexDigit(cost[0]); n < 1 || n > 15 {
			t.Fatalf("%q costs %d", word, n)
		}
		previous = word
	}
	for _, word := range []string{"0000", "password", "zzzzz"} {
		found := 0
		eachWord([]rune(word), func(length, _ int) { found = max(found, length) })
		if found != len(word) {
			t.Errorf("of %q %d characters are found", word, found)
		}
	}
}

// FuzzCheckPassword: accepted passwords are within the limits, and more known names never make a
// password acceptable.
func FuzzCheckPassword(f *testing.F) {
	f.Add("correct horse battery staple", "ann")
	f.Add("\xff\x00", "")
	f.Add(strings.Repeat("4@1!0$57", 20), "4@1")
	f.Add("1q2w3e4r5t6y", strings.Repeat("a", 300))
	f.Fuzz(func(t *testing.T, password, name string) {
		stranger, friend := checkPassword(password, nil), checkPassword(password, []string{name})
		if stranger != nil && friend == nil {
			t.Errorf("%q is accepted from somebody who is called %q, and refused otherwise", password, name)
		}
		if stranger == nil && (len(password) > MaxPassword || utf8.RuneCountInString(password) < MinPassword) {
			t.Errorf("%q is accepted", password)
		}
	})
}

// BenchmarkCheckPassword has a sentence, and texts that cost most: each character can stand for
// others, or repeats all before it.
func BenchmarkCheckPassword(b *testing.B) {
	for name, password := range map[string]string{
		"sentence": "orange teapots on the moon",
		"replaced": strings.Repeat("4@1!0$57", 128),
		"repeated": strings.Repeat("a", MaxPassword),
		"walk":     strings.Repeat("1q2w3e", 170),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = checkPassword(password, aboutAnn)
			}
		})
	}
}
