import cn.jiguang.common.ClientConfig;
import cn.jiguang.common.TimeUnit;
import cn.jiguang.common.resp.APIRequestException;
import cn.jiguang.common.resp.BaseResult;
import cn.jiguang.common.resp.DefaultResult;
import cn.jiguang.common.resp.ResponseWrapper;
import cn.jpush.api.JPushClient;
import cn.jpush.api.JPushConfig;
import cn.jpush.api.admin.AdminClient;
import cn.jpush.api.file.FileClient;
import cn.jpush.api.file.model.FileType;
import cn.jpush.api.image.ImageClient;
import cn.jpush.api.image.model.ImageFilePayload;
import cn.jpush.api.image.model.ImageType;
import cn.jpush.api.image.model.ImageUrlPayload;
import cn.jpush.api.push.GroupPushClient;
import cn.jpush.api.push.GroupPushResult;
import cn.jpush.api.push.model.InappMessage;
import cn.jpush.api.push.model.Message;
import cn.jpush.api.push.model.Notification3rd;
import cn.jpush.api.push.model.Options;
import cn.jpush.api.push.model.Platform;
import cn.jpush.api.push.model.PushPayload;
import cn.jpush.api.push.model.SMS;
import cn.jpush.api.push.model.audience.Audience;
import cn.jpush.api.push.model.audience.AudienceTarget;
import cn.jpush.api.push.model.live_activity.LiveActivity;
import cn.jpush.api.push.model.live_activity.LiveActivityEvent;
import cn.jpush.api.push.model.notification.AndroidNotification;
import cn.jpush.api.push.model.notification.HmosNotification;
import cn.jpush.api.push.model.notification.IosAlert;
import cn.jpush.api.push.model.notification.IosNotification;
import cn.jpush.api.push.model.notification.Notification;
import cn.jpush.api.push.model.notification.QuickappNotification;
import cn.jpush.api.report.model.CheckMessagePayload;
import cn.jpush.api.schedule.model.SchedulePayload;
import cn.jpush.api.schedule.model.TriggerPayload;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Drives the older of the vendor's Java clients, unmodified. The first line on standard input configures it (url and
 * credentials by name), each further line adds credentials, or is {"call": name, "as": credentials, "args": {…}},
 * which is answered with one line: {"ok": true, "result": …}, {"ok": false, "error": {…}}, or {"absent": true} where the
 * client has no such call.
 * A result holds what the client's own objects hold, not the text it read.
 */
public final class Driver {
    interface Call {
        Object make(String as, JsonObject args) throws Exception;
    }

    static final Gson EXPOSED = new GsonBuilder().excludeFieldsWithoutExposeAnnotation().create();
    static final Gson PLAIN = new GsonBuilder().setDateFormat("yyyy-MM-dd HH:mm:ss").create();

    static JsonObject credentials;
    static ClientConfig config;

    static JPushClient client(String as) {
        JsonObject c = credentials.getAsJsonObject(as);
        return new JPushClient(c.get("password").getAsString(), c.get("user").getAsString(), null, config);
    }

    static String user(String as) {
        return credentials.getAsJsonObject(as).get("user").getAsString();
    }

    static String password(String as) {
        return credentials.getAsJsonObject(as).get("password").getAsString();
    }

    static List<String> strings(JsonElement list) {
        List<String> out = new ArrayList<>();
        if (list != null) {
            for (JsonElement e : list.getAsJsonArray()) {
                out.add(e.getAsString());
            }
        }
        return out;
    }

    static Set<String> set(JsonObject args, String name) {
        return new HashSet<>(strings(args.get(name)));
    }

    static String text(JsonObject args, String name) {
        return args.has(name) ? args.get(name).getAsString() : null;
    }

    static Audience audience(JsonElement wanted) {
        if (!wanted.isJsonObject()) {
            return Audience.all();
        }
        Audience.Builder builder = Audience.newBuilder();
        for (Map.Entry<String, JsonElement> e : wanted.getAsJsonObject().entrySet()) {
            List<String> values = strings(e.getValue());
            switch (e.getKey()) {
                case "tag": builder.addAudienceTarget(AudienceTarget.tag(values)); break;
                case "tag_and": builder.addAudienceTarget(AudienceTarget.tag_and(values)); break;
                case "tag_not": builder.addAudienceTarget(AudienceTarget.tag_not(values)); break;
                case "alias": builder.addAudienceTarget(AudienceTarget.alias(values)); break;
                case "registration_id": builder.addAudienceTarget(AudienceTarget.registrationId(values)); break;
                case "segment": builder.addAudienceTarget(AudienceTarget.segment(values)); break;
                case "abtest": builder.addAudienceTarget(AudienceTarget.abTest(values)); break;
                default: throw new IllegalStateException(e.getKey());
            }
        }
        return builder.build();
    }

    static JsonObject object(String key, String value) {
        JsonObject o = new JsonObject();
        o.addProperty(key, value);
        return o;
    }

    static Notification everything() {
        return Notification.newBuilder()
            .setAlert("hello")
            .addPlatformNotification(AndroidNotification.newBuilder()
                .setAlert("to android").setTitle("title").setBuilderId(1).setChannelId("channel").setPriority(1)
                .setCategory("msg").setStyle(1).setAlertType(7).setBigText("a long text").setInbox(object("1", "first"))
                .setBigPicPath("https://example.com/a.png").setLargeIcon("https://example.com/b.png")
                .setSmallIconUri("https://example.com/c.png").setIntent(object("url", "intent:#Intent;component=a/b;end"))
                .setUriActivity("com.example.A").setUriAction("com.example.ACTION").setBadgeAddNum(1)
                .setBadgeClass("com.example.Main").setSound("sound").setShowBeginTime("2030-01-01 00:00:00")
                .setShowEndTime("2030-01-02 00:00:00").setDisplayForeground("1").addExtra("k", "v").addExtra("n", 1)
                .addExtra("b", true).addExtra("o", object("deep", "1")).addCustom("badge_set_num", 2).build())
            .addPlatformNotification(IosNotification.newBuilder()
                .setAlert(IosAlert.newBuilder().setTitleAndBody("title", "subtitle", "to ios").build()).setSound("default")
                .incrBadge(1).setContentAvailable(true).setMutableContent(true).setCategory("category").setThreadId("thread")
                .setInterruptionLevel("active").addExtra("k", "v").build())
            .addPlatformNotification(HmosNotification.newBuilder()
                .setAlert("to hmos").setTitle("title").setCategory("IM").setLarge_icon("https://example.com/d.png")
                .setIntent(object("url", "action.system.home")).setBadge_add_num(1).setTest_message(true)
                .setReceipt_id("receipt").addExtra("k", "v").build())
            .addPlatformNotification(QuickappNotification.newBuilder()
                .setAlert("to quickapp").setTitle("title").setPage("page").addExtra("k", "v").build())
            .addVoip("k", "v")
            .build();
    }

    static PushPayload.Builder builder(JsonObject wanted) {
        PushPayload.Builder builder = PushPayload.newBuilder().setPlatform(Platform.all());
        if (wanted.has("audience")) {
            builder.setAudience(audience(wanted.get("audience")));
        }
        Options.Builder options = Options.newBuilder();
        String alert = wanted.has("text") ? text(wanted, "text") : "hello";
        switch (wanted.has("parts") ? text(wanted, "parts") : "") {
            case "full":
                Map<String, JsonObject> vendors = new HashMap<>();
                vendors.put("xiaomi", object("distribution", "secondary_push"));
                builder.setNotification(everything())
                    .setMessage(Message.newBuilder().setMsgContent("content").setTitle("title").setContentType("text")
                        .addExtra("a", "b").addExtra("n", 1).build())
                    .setNotification3rd(Notification3rd.newBuilder().setTitle("title").setContent("instead").setChannelId("channel")
                        .setUriActivity("com.example.A").setUriAction("com.example.ACTION").setBadgeAddNum(1).setBadgeSetNum(2)
                        .setBadgeClass("com.example.Main").setSound("sound").addExtra("k", "v").build())
                    .setSMS(SMS.newBuilder().setTempID(1).setDelayTime(0).setActiveFilter(false).addPara("code", "1").build());
                options.setSendno(40712).setTimeToLive(3600).setApnsProduction(false).setApnsCollapseId("collapse")
                    .setClassification(1).setThirdPartyChannelV2(vendors).addCustom("test_model", false);
                break;
            case "inapp":
                builder.setNotification(Notification.alert(alert)).setInappMessage(InappMessage.newBuilder().setInappMessage(true).build());
                break;
            case "message":
                builder.setMessage(Message.content(alert));
                break;
            default:
                builder.setNotification(Notification.alert(alert));
        }
        if (wanted.has("options")) {
            for (Map.Entry<String, JsonElement> e : wanted.getAsJsonObject("options").entrySet()) {
                if (e.getKey().equals("time_to_live")) {
                    options.addCustom(e.getKey(), e.getValue().getAsNumber()); // the setter refuses what the server must
                } else {
                    throw new IllegalStateException(e.getKey());
                }
            }
        }
        return builder.setOptions(options.build());
    }

    static PushPayload payload(JsonObject wanted) {
        return builder(wanted).build();
    }

    static List<PushPayload> single(JsonObject args) {
        List<PushPayload> out = new ArrayList<>();
        for (JsonElement e : args.getAsJsonArray("items")) {
            JsonObject item = e.getAsJsonObject();
            out.add(builder(item).setTarget(text(item, "target")).build());
        }
        return out;
    }

    static TriggerPayload trigger(JsonObject wanted) {
        if (wanted.has("single")) {
            return TriggerPayload.newBuilder().setSingleTime(text(wanted.getAsJsonObject("single"), "time")).buildSingle();
        }
        JsonObject p = wanted.getAsJsonObject("periodical");
        return TriggerPayload.newBuilder().setPeriodTime(text(p, "start"), text(p, "end"), text(p, "time"))
            .setTimeFrequency(TimeUnit.valueOf(text(p, "time_unit").toUpperCase()), p.get("frequency").getAsInt(),
                strings(p.get("point")).toArray(new String[0]))
            .buildPeriodical();
    }

    static Object createSchedule(String as, JsonObject args) throws Exception {
        JsonObject trigger = args.getAsJsonObject("trigger");
        PushPayload push = payload(args.getAsJsonObject("push"));
        String name = text(args, "name");
        JPushClient client = client(as);
        if (trigger.has("single")) {
            return client.createSingleSchedule(name, text(trigger.getAsJsonObject("single"), "time"), push, password(as), user(as));
        }
        JsonObject p = trigger.getAsJsonObject("periodical");
        String start = text(p, "start"), end = text(p, "end"), time = text(p, "time");
        int frequency = p.get("frequency").getAsInt();
        List<String> point = strings(p.get("point"));
        switch (text(p, "time_unit")) {
            case "day":
                return client.createDailySchedule(name, start, end, time, frequency, push, password(as), user(as));
            case "week":
                cn.jiguang.common.Week[] days = new cn.jiguang.common.Week[point.size()];
                for (int i = 0; i < days.length; i++) {
                    days[i] = cn.jiguang.common.Week.valueOf(point.get(i));
                }
                return client.createWeeklySchedule(name, start, end, time, frequency, days, push, password(as), user(as));
            default:
                return client.createMonthlySchedule(name, start, end, time, frequency, point.toArray(new String[0]), push,
                    password(as), user(as));
        }
    }

    static Object updateSchedule(String as, JsonObject args) throws Exception {
        SchedulePayload.Builder builder = SchedulePayload.newBuilder();
        if (args.has("name")) {
            builder.setName(text(args, "name"));
        }
        if (args.has("enabled")) {
            builder.setEnabled(args.get("enabled").getAsBoolean());
        }
        if (args.has("trigger")) {
            builder.setTrigger(trigger(args.getAsJsonObject("trigger")));
        }
        return client(as).updateSchedule(text(args, "id"), builder.build());
    }

    static FileClient files(String as) {
        return new FileClient(password(as), user(as), null, config);
    }

    static ImageClient images(String as) {
        return new ImageClient(password(as), user(as), null, config);
    }

    static AdminClient admin(String as) {
        return new AdminClient(user(as), password(as));
    }

    static Object shortcuts(String as, JsonObject args) throws Exception {
        JPushClient c = client(as);
        String rid = text(args, "rid"), ios = text(args, "ios"), alias = text(args, "alias"), iosAlias = text(args, "ios_alias");
        Map<String, String> extras = Collections.singletonMap("k", "v");
        List<Object> sent = new ArrayList<>();
        sent.add(c.sendNotificationAll("hello"));
        sent.add(c.sendMessageAll("content"));
        sent.add(c.sendAndroidNotificationWithAlias("title", "hello", extras, alias));
        sent.add(c.sendAndroidNotificationWithRegistrationID("title", "hello", extras, rid));
        sent.add(c.sendAndroidMessageWithAlias("title", "content", alias));
        sent.add(c.sendAndroidMessageWithRegistrationID("title", "content", rid));
        sent.add(c.sendMessageWithRegistrationID("title", "content", rid));
        sent.add(c.sendIosNotificationWithAlias("hello", extras, iosAlias));
        sent.add(c.sendIosNotificationWithRegistrationID("hello", extras, ios));
        sent.add(c.sendIosMessageWithAlias("title", "content", iosAlias));
        sent.add(c.sendIosMessageWithRegistrationID("title", "content", ios));
        return sent;
    }

    static Object sm2(String as, JsonObject args) throws Exception {
        config.setEncryptType("SM2");
        try {
            return client(as).sendPush(payload(args));
        } finally {
            config.setEncryptType("");
        }
    }

    static Object live(String as, JsonObject args) throws Exception {
        return client(as).sendLiveActivity(LiveActivity.newBuilder().apnsProduction(false).liveActivityId(text(args, "id"))
            .iOSEvent(LiveActivityEvent.UPDATE).iOSContentState("score", 1).iOSAlertTitle("title").iOSAlertBody("body").build());
    }

    static Object groupPush(String as, JsonObject args) throws Exception {
        GroupPushResult r = new GroupPushClient(password(as), user(as), null, config).sendGroupPush(payload(args));
        JsonObject out = EXPOSED.toJsonTree(r.getAppResultMap()).getAsJsonObject();
        out.addProperty("group_msgid", r.getGroupMsgId());
        return out;
    }

    static Map<String, Call> calls() {
        Map<String, Call> m = new LinkedHashMap<>();
        m.put("push", (as, a) -> client(as).sendPush(payload(a)));
        m.put("push.inapp", (as, a) -> client(as).sendPush(payload(a)));
        m.put("push.raw", (as, a) -> client(as).sendPush(a.get("body").toString()));
        m.put("push.shortcuts", Driver::shortcuts);
        m.put("push.live", Driver::live);
        m.put("push.sm2", Driver::sm2);
        m.put("push.file", (as, a) -> client(as).sendFilePush(builder(a).setAudience(Audience.file(text(a, "file_id"))).build()));
        m.put("validate", (as, a) -> client(as).sendPushValidate(payload(a)));
        m.put("group.push", Driver::groupPush);
        m.put("cid", (as, a) -> client(as).getCidList(a.get("count").getAsInt(), text(a, "type")));
        m.put("batch.regid", (as, a) -> client(as).batchSendPushByRegId(single(a)).getBatchPushResult());
        m.put("batch.alias", (as, a) -> client(as).batchSendPushByAlias(single(a)).getBatchPushResult());
        m.put("withdraw", (as, a) -> client(as).deletePush(text(a, "id")));

        m.put("schedule.create", Driver::createSchedule);
        m.put("schedule.update", Driver::updateSchedule);
        m.put("schedule.list", (as, a) -> client(as).getScheduleList(a.get("page").getAsInt()));
        m.put("schedule.get", (as, a) -> client(as).getSchedule(text(a, "id")));
        m.put("schedule.msg_ids", (as, a) -> client(as).getScheduleMsgIds(text(a, "id")));
        m.put("schedule.delete", (as, a) -> {
            client(as).deleteSchedule(text(a, "id"));
            return null;
        });

        m.put("device.get", (as, a) -> client(as).getDeviceTagAlias(text(a, "rid")));
        m.put("device.set", (as, a) -> client(as).updateDeviceTagAlias(text(a, "rid"), text(a, "alias"), set(a, "add"), set(a, "remove")));
        m.put("device.clear", (as, a) ->
            client(as).updateDeviceTagAlias(text(a, "rid"), a.get("alias").getAsBoolean(), a.get("tags").getAsBoolean()));
        m.put("device.mobile", (as, a) -> client(as).bindMobile(text(a, "rid"), text(a, "mobile")));
        m.put("device.status", (as, a) ->
            PLAIN.toJsonTree(client(as).getUserOnlineStatus(strings(a.get("rids")).toArray(new String[0]))));
        m.put("alias.get", (as, a) -> client(as).getAliasDeviceList(text(a, "alias"), text(a, "platform")));
        m.put("alias.unbind", (as, a) -> client(as).removeDevicesFromAlias(text(a, "alias"), set(a, "rids")));
        m.put("alias.delete", (as, a) -> client(as).deleteAlias(text(a, "alias"), text(a, "platform")));
        m.put("tags.list", (as, a) -> client(as).getTagList());
        m.put("tags.check", (as, a) ->
            Collections.singletonMap("result", client(as).isDeviceInTag(text(a, "tag"), text(a, "rid")).result));
        m.put("tags.update", (as, a) -> client(as).addRemoveDevicesFromTag(text(a, "tag"), set(a, "add"), set(a, "remove")));
        m.put("tags.delete", (as, a) -> client(as).deleteTag(text(a, "tag"), text(a, "platform")));

        m.put("report.received", (as, a) -> client(as).getReportReceiveds(text(a, "ids")).received_list);
        m.put("report.received.detail", (as, a) -> client(as).getReceivedsDetail(text(a, "ids")).received_list);
        m.put("report.messages", (as, a) -> client(as).getReportMessages(text(a, "ids")).messages);
        m.put("report.messages.detail", (as, a) -> client(as).getMessagesDetail(text(a, "ids")).received_list);
        m.put("report.users", (as, a) ->
            client(as).getReportUsers(TimeUnit.valueOf(text(a, "unit")), text(a, "start"), a.get("duration").getAsInt()));
        m.put("report.status", (as, a) -> PLAIN.toJsonTree(client(as).getMessageStatus(
            new CheckMessagePayload(Long.parseLong(text(a, "id")), strings(a.get("rids")), text(a, "date")))));
        m.put("report.group.messages", (as, a) -> client(as).getGroupMessagesDetail(text(a, "ids")).received_list);
        m.put("report.group.users", (as, a) ->
            client(as).getGroupReportUsers(TimeUnit.valueOf(text(a, "unit")), text(a, "start"), a.get("duration").getAsInt()));

        m.put("file.upload", (as, a) ->
            PLAIN.toJsonTree(files(as).uploadFile(FileType.valueOf(text(a, "type").toUpperCase()), text(a, "path"), a.get("ttl").getAsInt())));
        m.put("file.list", (as, a) -> PLAIN.toJsonTree(files(as).queryEffectFiles()));
        m.put("file.get", (as, a) -> PLAIN.toJsonTree(files(as).queryFile(text(a, "id"))));
        m.put("file.delete", (as, a) -> {
            ResponseWrapper r = files(as).deleteFile(text(a, "id"));
            return new JsonParser().parse(r.responseContent);
        });
        m.put("image.url.add", (as, a) -> PLAIN.toJsonTree(images(as).uploadImage(
            ImageUrlPayload.newBuilder().setImageType(ImageType.BIG_PICTURE).setImageUrl(text(a, "url")).build())));
        m.put("image.url.update", (as, a) -> PLAIN.toJsonTree(images(as).modifyImage(text(a, "id"),
            ImageUrlPayload.newBuilder().setJiguangImageUrl(text(a, "url")).build())));
        m.put("image.file.add", (as, a) -> PLAIN.toJsonTree(images(as).uploadImage(
            ImageFilePayload.newBuilder().setImageType(ImageType.LARGE_ICON).setOppoFileName(text(a, "path")).build())));
        m.put("image.file.update", (as, a) -> PLAIN.toJsonTree(images(as).modifyImage(text(a, "id"),
            ImageFilePayload.newBuilder().setOppoFileName(text(a, "path")).build())));

        m.put("admin.create", (as, a) -> admin(as).createApp(text(a, "name"), text(a, "package"), text(a, "group")));
        m.put("admin.delete", (as, a) -> admin(as).deleteApp(text(a, "key")));
        m.put("admin.certificate", (as, a) -> {
            admin(as).uploadCertificate(text(a, "key"), text(a, "path"), text(a, "secret"), null, null);
            return null;
        });
        return m;
    }

    /** What a caller can find out about a refusal. */
    static JsonObject visible(Throwable e) {
        JsonObject error = new JsonObject();
        error.addProperty("type", e.getClass().getSimpleName());
        error.addProperty("message", e.getMessage());
        if (e instanceof APIRequestException) {
            APIRequestException refused = (APIRequestException) e;
            error.addProperty("status", refused.getStatus());
            error.addProperty("message", refused.getErrorMessage());
            if (refused.getErrorCode() != -1) {
                error.addProperty("code", refused.getErrorCode());
            }
        }
        return error;
    }

    static JsonElement json(Object result) {
        if (result instanceof JsonElement) {
            return (JsonElement) result;
        }
        if (result instanceof DefaultResult) {
            return new JsonObject(); // such a result says only that the call was accepted
        }
        if (result instanceof BaseResult || result instanceof Iterable
            || result instanceof Map && !((Map<?, ?>) result).containsKey("result")) {
            return EXPOSED.toJsonTree(result);
        }
        return PLAIN.toJsonTree(result);
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        JsonObject settings = new JsonParser().parse(in.readLine()).getAsJsonObject();
        credentials = settings.getAsJsonObject("credentials");
        String url = settings.get("url").getAsString();
        config = ClientConfig.getInstance();
        config.setPushHostName(url);
        config.setDeviceHostName(url);
        config.setReportHostName(url);
        config.setScheduleHostName(url);
        JPushConfig.getInstance().setAdminHostName(url);

        Map<String, Call> calls = calls();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonObject request = new JsonParser().parse(line).getAsJsonObject();
            if (request.has("credentials")) {
                request.getAsJsonObject("credentials").entrySet().forEach(e -> credentials.add(e.getKey(), e.getValue()));
                continue;
            }
            JsonObject answer = new JsonObject();
            Call call = calls.get(request.get("call").getAsString());
            if (call == null) {
                answer.addProperty("absent", true);
            } else {
                try {
                    answer.add("result", json(call.make(request.get("as").getAsString(), request.getAsJsonObject("args"))));
                    answer.addProperty("ok", true);
                } catch (Throwable e) { // whatever the client lets out is what its caller sees
                    answer.addProperty("ok", false);
                    answer.add("error", visible(e));
                }
            }
            out.println(answer);
        }
        System.exit(0);
    }
}
