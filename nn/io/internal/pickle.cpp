#include "nn/io/internal/pickle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "autograd/core/errors.hpp"
#include "autograd/core/shape.hpp"

namespace nn::detail {
namespace {

using autograd::fail;
using Kind = PickleValue::Kind;

constexpr std::size_t kMaxObjects = 4'000'000;

constexpr TorchDType kDTypes[] = {
    {"FloatStorage", "float32", "F32"},
    {"DoubleStorage", "float64", "F64"},
    {"HalfStorage", "float16", "F16"},
    {"BFloat16Storage", "bfloat16", "BF16"},
    {"LongStorage", "int64", "I64"},
    {"IntStorage", "int32", "I32"},
    {"ShortStorage", "int16", "I16"},
    {"CharStorage", "int8", "I8"},
    {"ByteStorage", "uint8", "U8"},
    {"BoolStorage", "bool", "BOOL"},
    {"ComplexFloatStorage", "complex64", ""},
    {"ComplexDoubleStorage", "complex128", ""},
    {"", "uint16", "U16"},
    {"", "uint32", "U32"},
    {"", "uint64", "U64"},
    {"", "float8_e4m3fn", "F8_E4M3"},
    {"", "float8_e5m2", "F8_E5M2"},
    {"", "float8_e4m3fnuz", "F8_E4M3FNUZ"},
    {"", "float8_e5m2fnuz", "F8_E5M2FNUZ"},
    {"", "float8_e8m0fnu", "F8_E8M0"},
};

// The dtype with this storage class, or of this name; null if there is none.
const TorchDType* find_dtype(std::string_view TorchDType::*field, std::string_view name) {
  const auto* found = std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const auto& d) {
    return !name.empty() && d.*field == name;
  });
  return found == std::end(kDTypes) ? nullptr : found;
}

// "float32" of "torch.float32".
const TorchDType* dtype_of(std::string_view name) {
  constexpr std::string_view kModule = "torch.";
  return name.starts_with(kModule) ? find_dtype(&TorchDType::name, name.substr(kModule.size()))
                                   : nullptr;
}
const TorchDType* dtype_of_storage(std::string_view name) {
  constexpr std::string_view kModule = "torch.";
  return name.starts_with(kModule) ? find_dtype(&TorchDType::storage, name.substr(kModule.size()))
                                   : nullptr;
}

constexpr std::string_view kUntyped = "torch.storage.UntypedStorage";
constexpr std::string_view kOrderedDict = "collections.OrderedDict",
                           kCounter = "collections.Counter",
                           kTensor2 = "torch._utils._rebuild_tensor_v2",
                           kTensor3 = "torch._utils._rebuild_tensor_v3",
                           kParameter = "torch._utils._rebuild_parameter",
                           kParameterWithState = "torch._utils._rebuild_parameter_with_state",
                           kSize = "torch.Size", kDevice = "torch.device";

bool is_known(std::string_view name) {
  constexpr std::string_view kNames[] = {kOrderedDict, kCounter,   kTensor2,
                                         kTensor3,     kParameter, kUntyped,
                                         kSize,        kDevice,    kParameterWithState};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames) ||
         dtype_of(name) || dtype_of_storage(name);
}

// The opcodes of Python's that are refused, by their names in pickletools.
std::string name_of(char opcode) {
  constexpr std::pair<char, std::string_view> kNames[] = {{'0', "POP"},
                                                          {'1', "POP_MARK"},
                                                          {'2', "DUP"},
                                                          {'I', "INT"},
                                                          {'L', "LONG"},
                                                          {'S', "STRING"},
                                                          {'V', "UNICODE"},
                                                          {'F', "FLOAT"},
                                                          {'P', "PERSID"},
                                                          {'T', "BINSTRING"},
                                                          {'U', "SHORT_BINSTRING"},
                                                          {'B', "BINBYTES"},
                                                          {'C', "SHORT_BINBYTES"},
                                                          {'d', "DICT"},
                                                          {'l', "LIST"},
                                                          {'g', "GET"},
                                                          {'p', "PUT"},
                                                          {'i', "INST"},
                                                          {'o', "OBJ"},
                                                          {'\x81', "NEWOBJ"},
                                                          {'\x82', "EXT1"},
                                                          {'\x83', "EXT2"},
                                                          {'\x84', "EXT4"},
                                                          {'\x8b', "LONG4"},
                                                          {'\x8c', "SHORT_BINUNICODE"},
                                                          {'\x8d', "BINUNICODE8"},
                                                          {'\x8e', "BINBYTES8"},
                                                          {'\x8f', "EMPTY_SET"},
                                                          {'\x90', "ADDITEMS"},
                                                          {'\x91', "FROZENSET"},
                                                          {'\x92', "NEWOBJ_EX"},
                                                          {'\x93', "STACK_GLOBAL"},
                                                          {'\x94', "MEMOIZE"},
                                                          {'\x95', "FRAME"},
                                                          {'\x96', "BYTEARRAY8"},
                                                          {'\x97', "NEXT_BUFFER"},
                                                          {'\x98', "READONLY_BUFFER"}};
  for (const auto& [code, name] : kNames)
    if (code == opcode) return std::string(name);
  return fmt::format("{:#04x}", static_cast<unsigned char>(opcode));
}

PickleValue integer_value(std::int64_t n) {
  PickleValue v;
  v.kind = Kind::integer;
  v.integer = n;
  return v;
}

}  // namespace

class Pickle::Machine {
 public:
  Machine(Pickle& pickle, const std::string& path, std::string_view bytes)
      : pickle_(pickle), path_(path), bytes_(bytes) {}

  PickleValue run() {
    for (;;) {
      const char opcode = take(1)[0];
      if (opcode == '.') break;
      if (!constant(opcode) && !container(opcode) && !memory(opcode) && !object(opcode))
        fail(path_,
             "must be a pickle of tensors, numbers, text, dicts and lists, got the opcode {}; save "
             "the state_dict() alone",
             name_of(opcode));
      if (stack_.size() > kMaxObjects) too_many();
    }
    if (stack_.size() != 1 || !marks_.empty()) damaged();
    return stack_.front();
  }

 private:
  [[noreturn]] void damaged() const {
    fail(path_, "the pickle must be intact, got an error at its byte {}", at_);
  }
  [[noreturn]] void too_many() const {
    fail(path_, "a pickle must make at most {} objects, got more", kMaxObjects);
  }

  // ---- bytes
  std::string_view take(std::size_t n) {
    if (n > bytes_.size() - at_) damaged();
    at_ += n;
    return bytes_.substr(at_ - n, n);
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const auto end = bytes_.find('\n', at_);
    if (end == bytes_.npos) damaged();
    const std::string_view text = take(end - at_);
    take(1);
    return text;
  }

  // ---- the stack
  PickleValue pop() {
    if (stack_.size() <= floor()) damaged();
    const PickleValue value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleValue& top() {
    if (stack_.size() <= floor()) damaged();
    return stack_.back();
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleList pop_mark() {
    if (marks_.empty()) damaged();
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    PickleList items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  PickleValue& push(Kind kind) {
    stack_.emplace_back().kind = kind;
    return stack_.back();
  }
  template <class T>
  T* keep(std::deque<T>& objects, T object) {
    if (objects.size() >= kMaxObjects) too_many();
    return &objects.emplace_back(std::move(object));
  }
  void push_list(PickleList items) {
    auto* const list = keep(pickle_.lists_, std::move(items));
    push(Kind::list).list = list;
  }
  void push_text(Kind kind, std::string text) {
    const std::string* const kept = keep(pickle_.texts_, std::move(text));
    push(kind).text = kept;
  }

  // ---- opcodes; each group is false for those of the others

  bool constant(char opcode) {
    switch (opcode) {
      case '\x80':  // PROTO
        if (const int protocol = static_cast<unsigned char>(take(1)[0]); protocol != 2)
          fail(path_, "must be written with pickle_protocol=2, as torch.save does, got {}",
               protocol);
        return true;
      case 'N':
        push(Kind::none);
        return true;
      case '\x88':
      case '\x89':
        push(Kind::boolean).boolean = opcode == '\x88';
        return true;
      case 'J':
        stack_.push_back(integer_value(number<std::int32_t>()));
        return true;
      case 'K':
        stack_.push_back(integer_value(number<std::uint8_t>()));
        return true;
      case 'M':
        stack_.push_back(integer_value(number<std::uint16_t>()));
        return true;
      case '\x8a':
        long_integer();
        return true;
      case 'G':  // big endian
        push(Kind::real).real = std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>()));
        return true;
      case 'X':
        push_text(Kind::text, std::string(take(number<std::uint32_t>())));
        return true;
      default:
        return false;
    }
  }

  // LONG1: two's complement, of as many bytes as it says.
  void long_integer() {
    const std::string_view bytes = take(number<std::uint8_t>());
    if (bytes.size() > 8) {
      push(Kind::long_integer);
      return;
    }
    std::uint64_t value =
        !bytes.empty() && static_cast<signed char>(bytes.back()) < 0 ? ~std::uint64_t{0} : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    stack_.push_back(integer_value(static_cast<std::int64_t>(value)));
  }

  bool container(char opcode) {
    switch (opcode) {
      case '(':
        if (marks_.size() >= kMaxObjects) too_many();
        marks_.push_back(stack_.size());
        return true;
      case ')':
      case ']':
        push_list({});
        return true;
      case '}': {
        auto* const dict = keep(pickle_.dicts_, {});
        push(Kind::dict).dict = dict;
        return true;
      }
      case 't':
        push_list(pop_mark());
        return true;
      case '\x85':
      case '\x86':
      case '\x87':
        push_list(last(static_cast<std::size_t>(opcode - '\x85') + 1));
        return true;
      case 'a':
        append({pop()});
        return true;
      case 'e':
        append(pop_mark());
        return true;
      case 's':
        set_items(last(2));
        return true;
      case 'u':
        set_items(pop_mark());
        return true;
      default:
        return false;
    }
  }

  PickleList last(std::size_t n) {
    PickleList items(n);
    for (std::size_t i = n; i-- > 0;) items[i] = pop();
    return items;
  }
  void append(const PickleList& items) {
    if (top().kind != Kind::list) damaged();
    top().list->insert(top().list->end(), items.begin(), items.end());
  }
  void set_items(const PickleList& items) {
    if (top().kind != Kind::dict || items.size() % 2 != 0) damaged();
    for (std::size_t i = 0; i < items.size(); i += 2)
      top().dict->emplace_back(items[i], items[i + 1]);
  }

  bool memory(char opcode) {
    switch (opcode) {
      case 'q':
        remember(number<std::uint8_t>());
        return true;
      case 'r':
        remember(number<std::uint32_t>());
        return true;
      case 'h':
        recall(number<std::uint8_t>());
        return true;
      case 'j':
        recall(number<std::uint32_t>());
        return true;
      default:
        return false;
    }
  }
  void remember(std::uint32_t place) {
    if (memo_.size() >= kMaxObjects) too_many();
    memo_[place] = top();
  }
  void recall(std::uint32_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) damaged();
    stack_.push_back(found->second);
  }

  bool object(char opcode) {
    switch (opcode) {
      case 'c':
        global();
        return true;
      case 'Q':
        storage();
        return true;
      case 'R':
        reduce();
        return true;
      case 'b':  // attributes of an OrderedDict, such as the _metadata of a state_dict()
        pop();
        if (top().kind != Kind::dict) damaged();
        return true;
      default:
        return false;
    }
  }

  void global() {
    const std::string_view module = line();
    const std::string name = fmt::format("{}.{}", module, line());
    if (!is_known(name))
      fail(path_,
           "must hold tensors, numbers, text, dicts and lists, got {}, which is not run; save the "
           "state_dict() alone",
           name);
    push_text(Kind::name, name);
  }

  // ('storage', class, key, location, number of elements)
  void storage() {
    const PickleList& id = items(pop());
    if (id.size() != 5 || text(id[0]) != "storage") damaged();
    const std::string& type = name(id[1]);
    const TorchDType* dtype = dtype_of_storage(type);
    if (!dtype && type != kUntyped) damaged();
    const auto* record = keep(pickle_.storages_, {text(id[2]), dtype, integer(id[4])});
    push(Kind::storage).storage = record;
  }

  void reduce() {
    const PickleList& arguments = items(pop());
    const std::string& function = name(pop());
    if (function == kTensor2) return tensor(arguments, 6);
    if (function == kTensor3) return tensor(arguments, 7);
    if (function == kOrderedDict && arguments.empty()) return (void)container('}');
    if (arguments.empty()) damaged();
    const PickleValue& first = arguments.front();
    const bool parameter = function == kParameter || function == kParameterWithState;
    const bool fits = parameter              ? first.kind == Kind::tensor
                      : function == kCounter ? first.kind == Kind::dict
                      : function == kSize    ? first.kind == Kind::list
                      : function == kDevice  ? first.kind == Kind::text
                                             : false;
    if (!fits) damaged();
    stack_.push_back(first);
  }

  // (storage, offset, size, stride, requires_grad, hooks[, dtype][, what it is a view by])
  void tensor(const PickleList& a, std::size_t n) {
    if (a.size() < n || a.size() > n + 1 || a[0].kind != Kind::storage) damaged();
    const bool plain =
        a.size() == n || a[n].kind == Kind::none || (a[n].kind == Kind::dict && a[n].dict->empty());
    if (!plain) fail(path_, "tensors must hold their elements, got one that is a conjugate view");
    const TorchDType* dtype = n == 7 ? dtype_of(name(a[6])) : a[0].storage->dtype;
    if (!dtype || (n == 7 && a[0].storage->dtype)) damaged();
    TensorRecord record{a[0].storage, dtype, integer(a[1]), integers(a[2]), integers(a[3])};
    if (record.sizes.size() != record.strides.size()) damaged();
    const auto* kept = keep(pickle_.tensors_, std::move(record));
    push(Kind::tensor).tensor = kept;
  }

  // ---- values of a kind
  const PickleList& items(const PickleValue& v) const {
    if (v.kind != Kind::list) damaged();
    return *v.list;
  }
  const std::string& text(const PickleValue& v) const {
    if (v.kind != Kind::text) damaged();
    return *v.text;
  }
  const std::string& name(const PickleValue& v) const {
    if (v.kind != Kind::name) damaged();
    return *v.name;
  }
  std::int64_t integer(const PickleValue& v) const {
    if (v.kind != Kind::integer) damaged();
    return v.integer;
  }
  std::vector<std::int64_t> integers(const PickleValue& v) const {
    std::vector<std::int64_t> numbers;
    if (items(v).size() > autograd::shapes::kMostAxes) damaged();
    for (const auto& item : items(v)) numbers.push_back(integer(item));
    return numbers;
  }

  Pickle& pickle_;
  const std::string& path_;
  std::string_view bytes_;
  std::size_t at_ = 0;
  PickleList stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, PickleValue> memo_;
};

Pickle::Pickle(const std::string& path, std::string_view bytes)
    : root_(Machine(*this, path, bytes).run()) {}

}  // namespace nn::detail
